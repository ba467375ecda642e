"""What an expert answers: closed, typed data. Nothing in it can widen a limit or reach a target."""

from __future__ import annotations

from executor.model.base import Contract, Line, Name, PlaceName, Probability, Text
from executor.model.faults import Fault
from executor.model.plan import Target
from executor.model.vocabulary import Weakness


class Proposal(Contract):
    """A weakness that may be at a place, and a fault on a target that would reveal it."""

    expert: Name
    weakness: Weakness
    place: PlaceName
    fault: Fault
    target: Target
    probability: Probability
    """The expert's own P(present)."""
    rationale: Text
    """Why this is worth trying, in a sentence or two; cites past runs where they moved it."""
    remedy: Text = ""
    """What to do if it is there."""
    source: Line = ""
    """Playbook entry or literature it comes from."""


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
