"""What the other places of a system say of one: the same hands made them.

A base rate says how often a weakness is found in systems at large. How often it is found in *this* one is another
number, and it is learned from its own places: a team that forgot one time-out has forgotten others, and one that set
ten has mostly set the eleventh. So of each weakness the places that were tried here lean the prior of those that were
not, the more the more they have in common: above all the caller, for its calls go through one client in one code base,
then what both are written with, for a library's defaults are the same wherever it is used.

Sources: Casella, "An Introduction to Empirical Bayes Data Analysis", The American Statistician 39 (1985); that defects
cluster: Fenton and Ohlsson, "Quantitative Analysis of
Faults and Failures in a Complex Software System", IEEE TSE 26 (2000), and that copied code keeps its faults: Juergens
et al., "Do Code Clones Matter?", ICSE 2009.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from executor.model.vocabulary import Weakness
from knowledge.beliefs.belief import Key
from knowledge.features import Features
from knowledge.neighbours import Neighbour, recency
from knowledge.rows import PastRow

SAME_CALLER = 1.0
"""Likeness of two calls that one service makes."""
SAME_STACK = 0.7
"""Of two places whose code is written with the same: callers of two calls, or two services."""
UNKNOWN_STACK = 0.45
"""Where that is not known of one of them."""
SAME_SYSTEM = 0.3
"""Of two others: one company, one way to review and to test."""
OTHER_PROTOCOL = 0.4
"""A call over another protocol goes through another client; another kind of service runs another program. So much of
the likeness is left."""


@dataclass(frozen=True)
class Relative:
    """What was tried at another place of the system."""

    results: tuple[Neighbour, ...]
    present: float
    """P(present) there, by its own results alone: what broke may be another weakness' doing."""


@dataclass(frozen=True)
class Kin:
    """A system's own results, by weakness and place."""

    results: Mapping[Weakness, Mapping[str, tuple[PastRow, ...]]]
    believed: Mapping[Key, float]
    now: datetime

    @classmethod
    def of(cls, rows: Iterable[PastRow], believed: Mapping[Key, float], now: datetime) -> Kin:
        """Those that decided something. ``believed``: P(present) by each place's own results."""
        found: dict[Weakness, dict[str, list[PastRow]]] = {}
        for row in rows:
            if row.decided:
                found.setdefault(row.weakness, {}).setdefault(row.place, []).append(row)
        results = {w: {p: tuple(rows) for p, rows in places.items()} for w, places in found.items()}
        return cls(results, believed, now)

    def near(self, query: Features) -> list[Relative]:
        """Each other place where the same weakness was tried, with how alike the two places are."""
        return [
            Relative(
                tuple(Neighbour(row, alike, recency(row.at, self.now)) for row in rows),
                self.believed.get((query.weakness, place), 0.0),
            )
            for place, rows in self.results.get(query.weakness, {}).items()
            if place != query.place and (alike := likeness(query, rows[-1].features)) > 0
        ]


def likeness(one: Features, other: Features) -> float:
    """How much what is known of one place of a system says of another of it, 0–1; of an edge and a service nothing."""
    if one.shape != other.shape:
        return 0.0
    if one.shape == "edge":
        left = 1.0 if one.protocol == other.protocol else OTHER_PROTOCOL
        if one.place.partition("->")[0] == other.place.partition("->")[0]:
            return left * SAME_CALLER
        return left * _stack(one.caller_technology, other.caller_technology)
    return (1.0 if one.kind == other.kind else OTHER_PROTOCOL) * _stack(one.technology, other.technology)


def _stack(one: str, other: str) -> float:
    if not one or not other:
        return UNKNOWN_STACK
    return SAME_STACK if one == other else SAME_SYSTEM
