"""Which passages of the documents speak of a system's places: what experts are given to read."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from executor.model.system import Service, System
from executor.model.vocabulary import Weakness
from knowledge.documents.document import Passage
from knowledge.hits import Hit, Kind
from knowledge.mentions import Mentions, mentions
from knowledge.retrieval import Question

CITED_MAX: Final = 12
"""Passages in all; what experts read beside the system itself must stay small."""
A_PLACE_MAX: Final = 3
"""Of one service."""
A_DOCUMENT_MAX: Final = 4
SERVICES_MAX: Final = 150
"""Asked for, the most critical first."""
PLACES_MAX: Final = 12


class Searches(Protocol):
    """What citing needs of a memory."""

    def search(self, questions: Sequence[Question], k: int, kinds: Sequence[Kind]) -> list[tuple[Hit, ...]]:
        """For each question up to ``k`` hits, first the best."""


@dataclass(frozen=True)
class Cited:
    """One passage, and what of the system it speaks of."""

    passage: Passage
    places: tuple[str, ...]
    """Edges of which it names both ends; services it names, or, where it names none, whose technology it tells of."""
    weaknesses: tuple[Weakness, ...]


def cite(memory: Searches, system: System, goal: str = "") -> tuple[Cited, ...]:
    """The passages that fit the system's places best, and the goal, at most ``CITED_MAX``; the best first.

    One that names no service of the system and speaks of none of its technologies fits nowhere, however near its words.
    """
    services = sorted(system.services, key=lambda service: (-service.criticality, service.name))[:SERVICES_MAX]
    names = frozenset(service.name for service in system.services)
    asked = [_question(service, system, names, goal) for service in services]
    best: dict[str, tuple[float, Passage]] = {}
    wanted: dict[str, list[str]] = defaultdict(list)
    told: dict[str, Mentions] = {}
    for service, found in zip(services, memory.search(asked, 4 * A_PLACE_MAX, ("passages",)), strict=True):
        for hit in found:
            passage = hit.what
            if isinstance(passage, Passage) and len(wanted[service.name]) < A_PLACE_MAX:
                if passage.id not in told:
                    told[passage.id] = mentions(passage.document())
                fit = _fit(told[passage.id], service, names)
                if fit:
                    wanted[service.name].append(passage.id)
                    score = hit.score * fit * (1 + service.criticality)
                    if passage.id not in best or score > best[passage.id][0]:
                        best[passage.id] = (score, passage)
    return _chosen(best, system)


def _question(service: Service, system: System, names: frozenset[str], goal: str) -> Question:
    near = [edge.place for edge in system.dependencies if service.name in (edge.caller, edge.callee)]
    told = (
        f"{service.name} {service.technology or ''} {service.kind.value} {' '.join(near[:6])} fails slow down\n{goal}"
    )
    said = mentions(f"{service.technology or ''} {service.kind.value}\n{goal}")
    return Question(told, Mentions(said.facts, frozenset({service.name})), names)


def _fit(told: Mentions, service: Service, names: frozenset[str]) -> float:
    """How well a passage fits a service: named, or of its technology where the passage names no other service."""
    if service.name in told.names:
        return 1.0
    if service.technology in told.of("technology") and not told.names & names:
        return 0.5
    return 0.0


def _chosen(best: Mapping[str, tuple[float, Passage]], system: System) -> tuple[Cited, ...]:
    chosen: list[Cited] = []
    said: set[str] = set()
    documents: Counter[str] = Counter()
    for _, passage in sorted(best.values(), key=lambda pair: (-pair[0], pair[1].source, pair[1].id)):
        if len(chosen) < CITED_MAX and documents[passage.source] < A_DOCUMENT_MAX and passage.text not in said:
            documents[passage.source] += 1
            said.add(passage.text)  # the same text may be there twice, as a copy of the file
            chosen.append(_cited(passage, system))
    return tuple(chosen)


def _cited(passage: Passage, system: System) -> Cited:
    told = mentions(passage.document())
    names = frozenset(service.name for service in system.services)
    services = [service.name for service in system.services if _fit(told, service, names)]
    edges = [edge.place for edge in system.dependencies if {edge.caller, edge.callee} <= told.names]
    weaknesses = told.of("weakness")
    return Cited(
        passage,
        places=(*edges, *services)[:PLACES_MAX],
        weaknesses=tuple(weakness for weakness in Weakness if weakness.value in weaknesses),
    )
