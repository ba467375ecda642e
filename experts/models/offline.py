"""The offline answerer: an expert that knows its playbook, past results and arithmetic, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Sequence

from executor.model.faults import FaultSpec
from executor.model.plan import Experiment
from executor.model.vocabulary import Verdict, Weakness
from experts.brief import Brief, PastResult
from experts.entries import Playbook
from experts.evaluate import evaluate, present
from experts.expert import proposal_key
from experts.playbook import playbook, speaks_of
from experts.proposal import OFFLINE, Critique, Proposal
from experts.safety import veto_reason
from experts.scene import Scene

_HISTORIAN = "historian"
_OTHER_FAULT_HELD = 0.7
_NEAR = 0.8


class OfflineExpert:
    """Answers from the playbook alone: equal briefs get equal answers, whenever and wherever they are asked."""

    def __init__(self, name: str, book: Playbook | None = None) -> None:
        self.name = name
        self.model = OFFLINE
        self.playbook = book or playbook(name)
        self.notes: list[str] = []
        """What a person should know about how the answers came about; always empty here."""

    def propose(self, brief: Brief) -> list[Proposal]:
        """One proposal for each place and fault that an entry of the playbook speaks of."""
        return evaluate(self.playbook, brief)

    def critique(self, proposals: Sequence[Proposal], brief: Brief) -> list[Critique]:
        """Its own probability where the playbook speaks of the weakness; vetoes; what earlier runs said."""
        scene = Scene(brief)
        found = [self._critique(proposal, scene) for proposal in proposals]
        return [critique for critique in found if critique is not None]

    def predict(self, experiment: Experiment, brief: Brief) -> list[tuple[str, float]]:
        """P(breaks) for each hypothesis in its field: its own P(present), less what the faults may miss."""
        scene = Scene(brief)
        answers: list[tuple[str, float]] = []
        for hypothesis in experiment.hypotheses:
            if hypothesis.weakness not in self.playbook.opinions_on:
                continue
            own = self._present(hypothesis.weakness, hypothesis.place, scene)
            if own is None:
                continue
            answers.append((hypothesis.id, round(own * self._reveals(experiment, hypothesis.weakness), 4)))
        return answers

    def _critique(self, proposal: Proposal, scene: Scene) -> Critique | None:
        if self.playbook.vetoes:
            reason = veto_reason(self.playbook.vetoes, proposal, scene)
            if reason:
                return self._say(proposal, proposal.probability, reason, veto=True)
            return None
        if proposal.expert == self.name or proposal.weakness not in self.playbook.opinions_on:
            return None
        if self.name == _HISTORIAN:
            return self._remember(proposal, scene)
        own = self._present(proposal.weakness, proposal.place, scene)
        if own is None:
            return None
        reveals = self._reveals_as(proposal)
        return self._say(proposal, round(own * reveals, 4), "")

    def _say(self, proposal: Proposal, probability: float, concern: str, *, veto: bool = False) -> Critique:
        return Critique(
            expert=self.name,
            proposal=proposal_key(proposal),
            probability=probability,
            concern=concern[:4000],
            veto=veto,
        )

    def _remember(self, proposal: Proposal, scene: Scene) -> Critique | None:
        here = scene.here(proposal.weakness, proposal.place)
        done = scene.tried(proposal.weakness, proposal.place, *(fault for fault, _ in proposal.strikes))
        near = scene.broke_nearby(proposal.weakness, proposal.place)
        if done is not None:
            probability = 0.95 if done.verdict is Verdict.BREAKS else 0.05
            return self._say(proposal, probability, f"This was answered: {_cite(done)}.")
        held = [past for past in here if past.verdict is Verdict.HOLDS]
        if held:
            probability = proposal.probability * _OTHER_FAULT_HELD ** len(held)
            said = "; ".join(_cite(past) for past in held[-3:])
            return self._say(proposal, round(probability, 4), f"Another fault was stood here: {said}.")
        if near:
            weight = min(1.0, sum(past.similarity for past in near) / 2)
            probability = proposal.probability + (_NEAR - proposal.probability) * 0.5 * weight
            said = "; ".join(_cite(past) for past in near[-3:])
            return self._say(proposal, round(max(probability, proposal.probability), 4), f"It broke nearby: {said}.")
        return None

    def _present(self, weakness: Weakness, place: str, scene: Scene) -> float | None:
        """Its own P(present), of the entry most worried; ``None`` where no entry speaks of the place."""
        rates = [
            present(entry, place, scene)
            for entry in self.playbook.entries
            if entry.weakness is weakness and speaks_of(entry, place, scene)
        ]
        if rates:
            return max(rates)
        known = scene.belief(weakness, place)
        return known.probability if known is not None and self.name == _HISTORIAN else None

    def _reveals(self, experiment: Experiment, weakness: Weakness) -> float:
        """P(some action reveals the weakness | it is there), from the entries that name the faults; else 1."""
        missed = [1 - rate for action in experiment.actions if (rate := self._rate_of(action.fault, weakness))]
        return 1 - math.prod(missed) if missed else 1.0

    def _reveals_as(self, proposal: Proposal) -> float:
        return self._rate_of(proposal.fault, proposal.weakness) or 1.0

    def _rate_of(self, fault: FaultSpec, weakness: Weakness) -> float:
        rates = [
            choice.rate
            for entry in self.playbook.entries
            if entry.weakness is weakness
            for choice in entry.faults
            if choice.is_like(fault)
        ]
        return max(rates, default=0.0)


def _cite(past: PastResult) -> str:
    return f"{past.verdict.value} at {past.place} under {past.fault} in {past.run}"
