"""Which weaknesses come with which technology and position: frequent sets over the ledger, and which are no chance."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from executor.measure.intervals import Share
from executor.model.vocabulary import Verdict, Weakness
from knowledge.features import Features
from knowledge.rows import PastRow

RUNS_MIN: Final = 3
"""Fewer runs than this make no pattern, however clear: one system on one day says nothing of others."""
PLACES_MIN: Final = 3
"""A set must have broken at so many places. One place counts once, however often it was tried."""
FALSE_MAX: Final = 0.05
"""Of the patterns that are called more than chance so large a share may be chance."""
_ITEMS: Final[dict[str, Callable[[Features], str]]] = {
    "technology": lambda f: f.technology or f.kind,
    "position": lambda f: f.role,
    "caller": lambda f: f.caller_technology or f.caller_kind,
}
"""What a place is described by: what it is made with (its kind, where that is not known), its position, its caller."""

Item = tuple[str, str]
_Place = tuple[str, str]


@dataclass(frozen=True)
class Frequent:
    """A weakness that broke at places of one sort."""

    weakness: Weakness
    items: tuple[Item, ...]
    """What the places have in common: ``("technology", "postgresql")``, ``("position", "leaf")``."""
    broke: Share
    """Of the places of this sort where the weakness was tried, how many broke, with the 95 % interval."""
    support: float
    """Share of these places that broke among all (place, weakness) pairs that were tried, 0–1."""
    lift: float
    """How much more often it breaks there than where it was tried at all; below 1: less often."""
    p_value: float
    """Chance of as many or more breaks among so many places if they were like all others (Fisher, one-sided)."""
    certain: bool
    """Whether it is more than chance, all sets that were looked at taken together (Benjamini and Hochberg)."""
    runs: int
    """Runs that it rests on."""
    systems: int


@dataclass(frozen=True)
class FrequentSets:
    """The sets, the most certain first, and what they were looked for in."""

    sets: tuple[Frequent, ...]
    runs: int
    places: int
    """(place, weakness) pairs with a decided verdict."""

    @property
    def enough(self) -> bool:
        """Whether there are runs enough to say anything."""
        return self.runs >= RUNS_MIN


def frequent(past: Sequence[PastRow]) -> FrequentSets:
    """Over the results of all systems. The unit is a weakness at a place, by its latest decided verdict.

    A set that is held by a smaller one with the very same places is left out, since it says nothing more.

    Source: R. Agrawal and R. Srikant, "Fast Algorithms for Mining Association Rules" (1994), for support; lift as in S.
    Brin and others, "Dynamic Itemset Counting" (1997); Y. Benjamini and Y. Hochberg, "Controlling the False Discovery
    Rate" (1995).
    """
    latest: dict[tuple[Weakness, _Place], PastRow] = {}
    runs: dict[tuple[Weakness, _Place], set[str]] = defaultdict(set)
    for row in sorted((row for row in past if row.decided), key=lambda row: (row.at, row.key)):
        latest[row.weakness, (row.system, row.place)] = row
        runs[row.weakness, (row.system, row.place)].add(row.run)
    every = {run for group in runs.values() for run in group}
    if len(every) < RUNS_MIN:
        return FrequentSets((), len(every), len(latest))
    found = list(_sets(latest, runs))
    # what is tested must not depend on how it came out, or chance would be told smaller than it is
    tested = _certain([each for each in found if each.broke.n >= PLACES_MIN and each.runs >= RUNS_MIN])
    kept = [each for each in tested if each.broke.good >= PLACES_MIN]
    ordered = sorted(kept, key=lambda each: (not each.certain, each.p_value, each.weakness, each.items))
    return FrequentSets(tuple(ordered), len(every), len(latest))


def _sets(
    latest: dict[tuple[Weakness, _Place], PastRow], runs: dict[tuple[Weakness, _Place], set[str]]
) -> Iterator[Frequent]:
    for weakness in Weakness:
        tried = {place: row for (of, place), row in latest.items() if of is weakness}
        broken = {place for place, row in tried.items() if row.verdict is Verdict.BREAKS}
        if not broken:
            continue
        holding: dict[tuple[Item, ...], set[_Place]] = defaultdict(set)
        for place, row in tried.items():
            for items in _subsets(row.features):
                holding[items].add(place)
        told: set[frozenset[_Place]] = {frozenset(tried)}  # what all of them have in common tells none apart
        for items, places in sorted(holding.items(), key=lambda pair: (len(pair[0]), pair[0])):
            if frozenset(places) in told:
                continue
            told.add(frozenset(places))
            broke = Share(len(places & broken), len(places))
            yield Frequent(
                weakness=weakness,
                items=items,
                broke=broke,
                support=broke.good / len(latest),
                lift=broke.value / (len(broken) / len(tried)),
                p_value=at_least(broke.good, len(places), len(broken), len(tried)),
                certain=False,
                runs=len({run for place in places for run in runs[weakness, place]}),
                systems=len({system for system, _ in places}),
            )


def _subsets(features: Features) -> Iterator[tuple[Item, ...]]:
    items = [(name, value) for name, of in _ITEMS.items() if (value := of(features))]
    for size in range(1, len(items) + 1):
        yield from combinations(items, size)


def at_least(broke: int, places: int, broken: int, tried: int) -> float:
    """Chance of ``broke`` or more of ``places`` drawn from ``tried``, of which ``broken`` broke (hypergeometric)."""
    whole = math.comb(tried, places)
    ways = (math.comb(broken, n) * math.comb(tried - broken, places - n) for n in range(broke, min(places, broken) + 1))
    return min(1.0, sum(ways) / whole)


def _certain(found: list[Frequent]) -> list[Frequent]:
    """Each with whether it is more than chance, by the step-up procedure."""
    ordered = sorted(found, key=lambda each: each.p_value)
    last = max((n for n, e in enumerate(ordered, start=1) if e.p_value <= FALSE_MAX * n / len(ordered)), default=0)
    return [Frequent(**{**vars(each), "certain": n < last}) for n, each in enumerate(ordered)]
