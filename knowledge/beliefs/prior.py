"""Before a place's own runs: its base rate, leaned by what came out at places that are like it.

The base rate is a Beta distribution of ``PRIOR_STRENGTH`` pseudo-counts, and each similar place adds its outcome, less
the less alike and the older it is. A place counts once, however often it was tried; further places of one system count
less and less, since the same hands made them; and all together they lean, they do not decide.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from executor.model.vocabulary import Verdict, Weakness
from knowledge.beliefs.belief import PRIOR_STRENGTH, bits, inside, line
from knowledge.beliefs.sight import sight
from knowledge.neighbours import Neighbour
from knowledge.rows import PastRow
from knowledge.sensitivity import sensitivity

NEIGHBOURS = 24
"""So many past results are asked for, for each hypothesis."""
NEIGHBOUR_MIN = 0.6
"""A past result less similar than this says nothing here."""
NEIGHBOUR_STRENGTH = 0.6
"""Pseudo-counts of one result of today at a place just alike: other code was written by other hands."""
NEIGHBOURS_STRENGTH_MAX = 3.0
"""All neighbours together count at most so much: own runs decide, neighbours only lean."""
SAME_SYSTEM = 0.5
"""Each further place of one system counts so much of the one before: all together at most twice the first."""


@dataclass(frozen=True)
class Lean:
    """What one similar place adds."""

    system: str
    place: str
    broke: bool
    run: str
    fault: str
    similarity: float
    recency: float
    count: float
    """Pseudo-counts that it adds, for or against."""
    before: float
    """P(present) before and after it, the base rate and those before it counted."""
    after: float

    @property
    def bits(self) -> float:
        """Log odds that it moved, to the base of 2."""
        return bits(self.after) - bits(self.before)

    def told(self) -> str:
        """In words, as a ground of the belief."""
        verb = "broke" if self.broke else "held"
        return line(
            f"neighbour: {self.system} {self.place} {verb} under {self.fault} "
            f"(similarity {self.similarity:.2f}, {self.run})"
        )


@dataclass(frozen=True)
class Prior:
    """A weakness at a place before its own runs."""

    rate: float
    source: str
    alpha: float
    beta: float
    leans: tuple[Lean, ...] = ()

    @property
    def probability(self) -> float:
        """P(present)."""
        return self.alpha / (self.alpha + self.beta)

    def told(self) -> tuple[str, ...]:
        """Its grounds, in words."""
        return (f"base rate {self.rate:.2f} ({self.source})", *(lean.told() for lean in self.leans))


def prior(weakness: Weakness, rate: tuple[float, str], neighbours: Sequence[Neighbour] = ()) -> Prior:
    """The base rate (0–1, with its source in words), leaned by neighbours, those that count most first."""
    base = inside(rate[0])
    alpha, beta = PRIOR_STRENGTH * base, PRIOR_STRENGTH * (1 - base)
    leans = []
    for near, broke, count in _counted(weakness, neighbours):
        before = alpha / (alpha + beta)
        alpha, beta = (alpha + count, beta) if broke else (alpha, beta + count)
        leans.append(_lean(near, broke, count, before, alpha / (alpha + beta)))
    return Prior(base, rate[1], alpha, beta, tuple(leans))


def _counted(weakness: Weakness, neighbours: Iterable[Neighbour]) -> list[tuple[Neighbour, bool, float]]:
    """(what it is told by, whether it broke, pseudo-counts) for each similar place, those that count most first."""
    places: dict[tuple[str, str], list[Neighbour]] = {}
    for near in neighbours:
        if near.row.decided and near.row.weakness is weakness and near.similarity >= NEIGHBOUR_MIN:
            places.setdefault((near.row.system, near.row.place), []).append(near)
    told = [_place(near) for near in places.values()]
    told.sort(key=lambda one: (-one[2], one[0].row.system, one[0].row.place))
    seen: dict[str, int] = {}
    counts = []
    for near, _, count in told:
        before = seen.get(near.row.system, 0)
        seen[near.row.system] = before + 1
        counts.append(count * SAME_SYSTEM**before)
    scale = min(1.0, NEIGHBOURS_STRENGTH_MAX / total) if (total := sum(counts)) else 0.0
    return [(near, broke, scale * count) for (near, broke, _), count in zip(told, counts, strict=True)]


def _place(results: Sequence[Neighbour]) -> tuple[Neighbour, bool, float]:
    """One place, whatever was tried there: of each type of fault the latest counts, and one that broke decides."""
    latest: dict[tuple[str, ...], Neighbour] = {}
    for near in sorted(results, key=lambda n: (n.row.at, n.row.key)):
        latest[near.row.fault_types] = near
    standing = list(latest.values())
    broke = [near for near in standing if near.row.verdict is Verdict.BREAKS]
    best = max(broke or standing, key=lambda near: (near.weight, near.row.at, near.row.key))
    if broke:
        return best, True, NEIGHBOUR_STRENGTH * best.weight
    missed = 1.0
    for near in standing:
        missed *= 1 - tried(near.row)
    return best, False, NEIGHBOUR_STRENGTH * best.weight * (1 - missed)


def tried(row: PastRow) -> float:
    """How surely a result would have shown its weakness, if that had been there."""
    if row.exposure is None:
        return sensitivity(row.weakness, row.fault_types)
    return sight(row.weakness, row.place, row.exposure).shows


def _lean(near: Neighbour, broke: bool, count: float, before: float, after: float) -> Lean:
    row = near.row
    return Lean(
        system=row.system,
        place=row.place,
        broke=broke,
        run=row.run,
        fault=row.fault,
        similarity=near.similarity,
        recency=near.recency,
        count=count,
        before=before,
        after=after,
    )
