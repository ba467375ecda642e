"""Hybrid retrieval: words, vectors and known facts each rank what there is, and their ranks are fused."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from executor.model.wording import named
from knowledge.features import Features
from knowledge.lexical import Lexical
from knowledge.mentions import WEIGHTS, Mentions, described, mentions

ARMS: Final[Mapping[str, float]] = {"lexical": 1.0, "vector": 0.5, "features": 0.5}
"""What the rank that an arm gives counts, as ``python -m bench.retrieval`` has it; see docs/decisions/embedding.md."""
RANK_OFFSET: Final = 60
"""How little the first ranks stand out: with 60 the first counts 1.6 % more than the second.

Source: G. Cormack, C. Clarke, S. Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning
Methods", SIGIR 2009.
"""
DEPTH: Final = 50
"""So far down each arm's ranking counts."""

Nearest = Callable[[Sequence[str], int], list[list[tuple[str, float]]]]
"""For each text up to so many (id, closeness) pairs, closest first."""


@dataclass(frozen=True)
class Item:
    """Something that can be found."""

    id: str
    text: str
    mentions: Mentions


@dataclass(frozen=True)
class Question:
    """What is looked for."""

    text: str
    mentions: Mentions
    services: frozenset[str] = frozenset()
    """Which names are names of services; others are mere words."""

    @classmethod
    def of(cls, text: str, services: Iterable[str] = ()) -> Question:
        """A question in plain words."""
        return cls(text, mentions(text), frozenset(services))

    @classmethod
    def about(cls, features: Features) -> Question:
        """What speaks of a hypothesis: its weakness, its place and what that is made with."""
        weakness, (caller, arrow, callee) = named(features.weakness.value), features.place.rpartition("->")
        made = [features.technology or features.kind, features.caller_technology, features.text]
        told = [weakness, f"{caller} calls {callee}" if arrow else callee, *made]
        return cls("\n".join(filter(None, told)), described(features), frozenset({caller, callee} - {""}))


class Retriever:
    """Everything that can be found, made once. Ties are broken by id, so that equal input gives equal answers."""

    def __init__(self, items: Iterable[Item], nearest: Nearest) -> None:
        self.items = {item.id: item for item in items}
        self._lexical = Lexical((item.id, item.text) for item in self.items.values())
        self._nearest = nearest
        self._speaking: dict[str, list[str]] = defaultdict(list)
        for item in self.items.values():
            for fact in item.mentions.facts:
                self._speaking[fact].append(item.id)
        self._named: dict[str, list[str]] = {}

    def find(
        self, questions: Sequence[Question], k: int, *, arms: Mapping[str, float] = ARMS
    ) -> list[list[tuple[str, float]]]:
        """For each question up to ``k`` (id, score) pairs, best first; the score is 1 for what is first in every arm.

        ``arms``: which rankings, and what each counts.
        """
        near = self._nearest([question.text for question in questions], DEPTH) if arms.get("vector") else []
        found = []
        for number, question in enumerate(questions):
            scores: dict[str, Mapping[str, float]] = {}
            if arms.get("lexical"):
                scores["lexical"] = self._lexical.scores(question.text)
            if arms.get("vector"):
                scores["vector"] = {name: close for name, close in near[number] if close > 0}
            if arms.get("features"):
                scores["features"] = self._alike(question)
            found.append(fuse(scores, arms)[:k])
        return found

    def _alike(self, question: Question) -> dict[str, float]:
        """Weight of what the question and each item both speak of, where they do."""
        told: dict[str, float] = defaultdict(float)
        for fact in sorted(question.mentions.facts):
            for name in self._speaking.get(fact, ()):
                told[name] += WEIGHTS[fact.partition("=")[0]]
        for service in sorted(question.services & question.mentions.names):
            for name in self._naming(service):
                told[name] += WEIGHTS["name"]
        return dict(told)

    def _naming(self, service: str) -> list[str]:
        if service not in self._named:
            self._named[service] = [name for name, item in self.items.items() if service in item.mentions.names]
        return self._named[service]


def fuse(scores: Mapping[str, Mapping[str, float]], arms: Mapping[str, float]) -> list[tuple[str, float]]:
    """One ranking of several, by reciprocal ranks; what an arm scores equally shares the middle of its ranks."""
    best = sum(arms[arm] for arm in scores) / (RANK_OFFSET + 1)
    fused: dict[str, float] = {}
    for arm, given in scores.items():
        for name, rank in _ranks(given):
            fused[name] = fused.get(name, 0.0) + arms[arm] / (RANK_OFFSET + rank)
    ranked = sorted(fused.items(), key=lambda pair: (-pair[1], pair[0]))
    return [(name, score / best) for name, score in ranked]


def _ranks(scores: Mapping[str, float]) -> list[tuple[str, float]]:
    ordered = sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))
    ranks: list[tuple[str, float]] = []
    start = 0
    while start < min(len(ordered), DEPTH):
        end = start
        while end < len(ordered) and ordered[end][1] == ordered[start][1]:
            end += 1
        ranks += [(name, (start + 1 + end) / 2) for name, _ in ordered[start:end]]
        start = end
    return ranks
