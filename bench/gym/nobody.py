"""The council without its opinions: all that it would try, each as likely as the next."""

from __future__ import annotations

from collections.abc import Sequence

from executor.model.plan import Experiment
from experts.brief import Brief
from experts.evaluate import evaluate
from experts.expert import proposal_key
from experts.playbook import COUNCIL, playbook
from experts.proposal import Critique, Proposal

ALIKE = 0.3
"""P(present) of everything."""


class Nobody:
    """Takes the place of the experts, to see what their opinions are worth, over the same candidates."""

    name = "nobody"
    model = "none"

    def __init__(self) -> None:
        self.notes: list[str] = []

    def propose(self, brief: Brief) -> list[Proposal]:
        """What any of the experts proposes, without what they think of it."""
        found = {proposal_key(p): p for expert in COUNCIL for p in evaluate(playbook(expert), brief)}
        flat = {"expert": self.name, "probability": ALIKE, "rationale": "It can be tried."}
        return [Proposal.model_validate({**each.model_dump(), **flat}) for each in found.values()]

    def critique(self, proposals: Sequence[Proposal], brief: Brief) -> list[Critique]:
        """No opinion."""
        del proposals, brief
        return []

    def predict(self, experiment: Experiment, brief: Brief) -> list[tuple[str, float]]:
        """None either."""
        del experiment, brief
        return []
