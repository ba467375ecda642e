"""One experiment that past results ask for, and why."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from executor.model.base import Contract, Text
from experts.proposal import Proposal

EXPERT = "adaptation"
"""In whose name it is proposed; what the experts think of it is asked like of any other."""

Why = Literal["bisect", "widen", "repeat", "confirm", "discriminate"]


class FollowUp(Contract):
    """An experiment that past results ask for. It is a proposal: rules, experts and selection judge it as any other."""

    why: Why
    text: Text
    """What is to be tried and what for, in a sentence."""
    proposals: Annotated[tuple[Proposal, ...], Field(min_length=1)]
    """All with one fault on one target; of each weakness that it is to decide."""
    value: Annotated[float, Field(ge=0)]
    """What it is expected to teach, bits, before criticality counts: of the question that it follows up."""
