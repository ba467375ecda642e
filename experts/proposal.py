"""What an expert answers: closed, typed data. Nothing in it can widen a limit or reach a target."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Self

from pydantic import Field, model_validator

from executor.model.base import Contract, Line, Name, PlaceName, Probability, Text
from executor.model.faults import Fault
from executor.model.plan import Target
from executor.model.vocabulary import Weakness

BESIDE_MAX = 2
TRIALS_MAX = 10
CONCURRENCY_MAX = 64
OFFLINE = "offline"
"""Who answers from the playbook alone."""


class Beside(Contract):
    """A second fault that is there at the same time: another failure, or load, which is a fault as well."""

    fault: Fault
    target: Target

    @model_validator(mode="after")
    def _fault_fits_target(self) -> Self:
        if self.fault.target_kind != self.target.kind:
            raise ValueError(f"{self.fault.kind} takes a target of kind {self.fault.target_kind}")
        return self


class Proposal(Contract):
    """A weakness that may be at a place, and a fault on a target that would reveal it."""

    expert: Name
    weakness: Weakness
    place: PlaceName
    fault: Fault
    target: Target
    beside: Annotated[tuple[Beside, ...], Field(max_length=BESIDE_MAX)] = ()
    """What else is done meanwhile, where the weakness shows only under both."""
    trials: Annotated[int, Field(ge=1, le=TRIALS_MAX)] = 1
    """How often all of it is done, one time after another: some things go well once."""
    concurrency: Annotated[int, Field(ge=0, le=CONCURRENCY_MAX)] = 0
    """So many requests should wait for the struck call at once; 0: as many as the checks happen to bring."""
    probability: Probability
    """The expert's own P(present)."""
    rationale: Text
    """Why this is worth trying, in a sentence or two; cites past runs where they moved it."""
    remedy: Text = ""
    """What to do if it is there."""
    source: Line = ""
    """Playbook entry or literature it comes from."""
    model: Line = OFFLINE
    """Who answered for the expert: provider and model, or the playbook."""

    @property
    def strikes(self) -> Iterator[tuple[Fault, Target]]:
        """Every fault with its target, what the proposal is about first."""
        yield self.fault, self.target
        for each in self.beside:
            yield each.fault, each.target


class Critique(Contract):
    """What another expert says of a proposal."""

    expert: Name
    proposal: Line
    """Key of the proposal, as ``proposal_key`` gives it."""
    probability: Probability
    """The critic's own P(present)."""
    concern: Text = ""
    veto: bool = False
    """Only the safety officer's counts; the reason is in ``concern``."""
    model: Line = OFFLINE
    """As in a proposal."""
