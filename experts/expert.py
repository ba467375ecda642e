"""Who is asked: an expert answers pure questions; it runs, approves and changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from executor.model.digest import digest
from executor.model.plan import Experiment
from experts.brief import Brief
from experts.proposal import Critique, Proposal


class Expert(Protocol):
    """One member of the council, whoever answers for it."""

    name: str
    """Folder name in ``experts/council``, for instance ``reliability-engineer``."""
    model: str
    """Who answers: ``offline``, or provider and model, for instance ``openai/gpt-5``."""
    notes: list[str]
    """What a person should know about how its answers came about so far: dropped items, stand-ins."""

    def propose(self, brief: Brief) -> list[Proposal]:
        """What may be wrong and how to find out. Deterministic where ``model`` is ``offline``."""

    def critique(self, proposals: Sequence[Proposal], brief: Brief) -> list[Critique]:
        """What it thinks of others' proposals, for those it has an opinion on."""

    def predict(self, experiment: Experiment, brief: Brief) -> list[tuple[str, float]]:
        """(hypothesis id, P(breaks)) for each hypothesis it has an opinion on."""


def proposal_key(proposal: Proposal) -> str:
    """Equal for equal weakness, place and faults, done as often, whoever proposes it and under whatever load."""
    parts = proposal.model_dump(mode="json", include={"weakness", "place", "fault", "target"})
    manner = proposal.model_dump(mode="json", include={"beside", "trials"}, exclude_defaults=True)
    return digest({**parts, **manner})[7:23]
