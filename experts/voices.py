"""Under what name an expert's numbers are kept: each model that answers for it is a voice of its own.

A model's number stands beside what the expert's playbook would have said of the same question. That one is only kept
for comparison: whoever pools leaves it out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from experts.brief import Brief
from experts.expert import proposal_key
from experts.models.offline import OfflineExpert
from experts.proposal import OFFLINE, Critique, Proposal

_NAME_MAX = 63
_ASKED = "asked"


def voice(expert: str, model: str) -> str:
    """``network-engineer`` by its playbook, ``network-engineer.openai-gpt-5`` by a model; a name, as in plans."""
    if model == OFFLINE:
        return expert
    return f"{expert}.{re.sub('[^a-z0-9_-]+', '-', model.lower()).strip('-')}"[:_NAME_MAX]


def of(name: str) -> tuple[str, str]:
    """The expert and the model of a voice, as ``voice`` puts them together."""
    expert, dot, model = name.partition(".")
    return expert, model if dot else OFFLINE


def heard(names: Iterable[str]) -> frozenset[str]:
    """Those that count in a pooled opinion: not what a playbook would have said where a model answered."""
    every = frozenset(names)
    answered = {of(name)[0] for name in every if of(name)[1] != OFFLINE}
    return every - answered


def spread(said: Mapping[str, float]) -> tuple[float, float]:
    """The lowest and the highest number of those that count. Raises ``ValueError`` where nobody said any."""
    numbers = [said[name] for name in heard(said)]
    return min(numbers), max(numbers)


def proposed(proposals: Sequence[Proposal], model: str) -> list[Proposal]:
    """The proposals, each with who answered: an expert whose model cannot answer falls back on its playbook."""
    ours = f"{model}, "
    return [
        Proposal.model_validate({**dict(each), "model": model if each.source.startswith(ours) else OFFLINE})
        for each in proposals
    ]


def critiqued(
    critiques: Sequence[Critique], expert: str, model: str, proposals: Sequence[Proposal], brief: Brief
) -> list[Critique]:
    """The critiques, each with who answered, and beside a model's what the expert's playbook says of all proposals."""
    if model == OFFLINE:
        return list(critiques)
    book = OfflineExpert(expert)
    given = {each.proposal: each for each in book.critique(proposals, brief)}
    told = [
        each if each == given.get(each.proposal) else Critique.model_validate({**dict(each), "model": model})
        for each in critiques
    ]
    by_others = [Proposal.model_validate({**dict(each), "expert": _ASKED}) for each in proposals]
    told_by_model = {each.proposal for each in told if each.model != OFFLINE}
    own = {proposal_key(each) for each in proposals if each.expert == expert and each.model != OFFLINE}
    shadows = [
        Critique(expert=expert, proposal=each.proposal, probability=each.probability)
        for each in book.critique(by_others, brief)
        if each.proposal in told_by_model | own and not each.veto
    ]
    return [*told, *shadows]
