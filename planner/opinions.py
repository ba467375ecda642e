"""Who expects what of a hypothesis, and what all of them expect together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from executor.model.faults import Fault
from executor.model.plan import Prediction
from experts.expert import proposal_key
from experts.proposal import Critique, Proposal
from experts.track_record import pool
from experts.voices import heard, voice
from knowledge.sensitivity import sensitivity

CRITIC_OF_LAST_WORD = "safety-officer"
"""Whose veto counts."""


class Opinions:
    """All probabilities that experts gave, by the proposal they speak of."""

    def __init__(
        self, proposals: Sequence[Proposal], critiques: Iterable[Critique], weights: Mapping[str, float]
    ) -> None:
        self._weights = weights
        self._said: dict[str, dict[str, float]] = {}
        self._vetoes: dict[str, str] = {}
        self._concerns: dict[str, list[str]] = {}
        for critique in critiques:
            self._said.setdefault(critique.proposal, {})[voice(critique.expert, critique.model)] = critique.probability
            if critique.veto and critique.expert == CRITIC_OF_LAST_WORD:
                self._vetoes[critique.proposal] = critique.concern or "no reason given"
            elif critique.concern:
                self._concerns.setdefault(critique.proposal, []).append(f"{critique.expert}: {critique.concern}")
        for proposal in proposals:  # who proposes knows best what he meant: his own number is the one that counts
            own = voice(proposal.expert, proposal.model)
            self._said.setdefault(proposal_key(proposal), {})[own] = proposal.probability

    def veto(self, proposal: Proposal) -> str | None:
        """Why the safety officer does not let it pass; ``None`` if that does not arise."""
        return self._vetoes.get(proposal_key(proposal))

    def concerns(self, proposal: Proposal) -> tuple[str, ...]:
        """What critics had to say, with their names."""
        return tuple(self._concerns.get(proposal_key(proposal), ()))

    def prediction(self, proposal: Proposal) -> Prediction:
        """The pooled probability and each expert's own, beside a model's what the playbook would have said."""
        said = dict(sorted(self._said[proposal_key(proposal)].items()))
        counted = {name: said[name] for name in sorted(heard(said))}
        pooled = pool(counted, {name: self._weights.get(name, 1.0) for name in counted})
        return Prediction(probability_breaks=round(pooled, 4), by=tuple(said.items()))

    def lent(self, proposal: Proposal, fault: Fault) -> Prediction:
        """The same for another fault at the place: less, as far as that fault shows the weakness less surely.

        Nobody gave this number, so nobody is scored by it.
        """
        meant = sensitivity(proposal.weakness, (proposal.fault.looks().value,))
        shown = sensitivity(proposal.weakness, (fault.looks().value,))
        pooled = self.prediction(proposal).probability_breaks
        return Prediction(probability_breaks=round(min(0.99, pooled * shown / meant), 4))
