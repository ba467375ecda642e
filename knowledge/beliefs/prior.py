"""Before a place's own runs: its base rate, leaned by what came out at places that are like it.

The base rate is a Beta distribution of ``PRIOR_STRENGTH`` pseudo-counts, and each similar place adds its outcome, less
the less alike and the older it is. A place counts once, however often it was tried. Places of another system count as
much as two or three together, for the same hands made them, and theirs is another rate than this system's; all other
systems together lean, they do not decide. The system's own places count in full (``kin``).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from executor.model.vocabulary import Verdict, Weakness
from executor.model.wording import many
from knowledge.beliefs.belief import PRIOR_STRENGTH, bits, inside, line
from knowledge.beliefs.kin import Relative
from knowledge.beliefs.sight import sight
from knowledge.neighbours import Neighbour
from knowledge.rows import PastRow
from knowledge.sensitivity import sensitivity

NEIGHBOURS = 40
"""So many past results are asked for, for each hypothesis."""
NEIGHBOUR_MIN = 0.6
"""A past result less similar than this says nothing here."""
NEIGHBOUR_STRENGTH = 0.6
"""Pseudo-counts of one result of today at a place just alike: other code was written by other hands."""
NEIGHBOURS_STRENGTH_MAX = 3.0
"""All other systems together count at most so much: own runs decide, neighbours only lean."""
SYSTEM_STRENGTH_MAX = 1.4
"""The places of one other system together count at most so much."""
KIN_STRENGTH = 0.9
"""Pseudo-counts of one result of today at a place of this system that is just alike."""
KIN_STRENGTH_MAX = 10.0
"""All other places of this system together count at most so much: there is still something of its own about each."""
TOLD_MAX = 6
"""So many neighbours are told one by one, those that count most."""


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
    neighbours: tuple[Neighbour, ...] = ()
    """Results of other systems that were weighed for it."""

    @property
    def probability(self) -> float:
        """P(present)."""
        return self.alpha / (self.alpha + self.beta)

    def told(self) -> tuple[str, ...]:
        """Its grounds, in words."""
        most = sorted(self.leans, key=lambda lean: -lean.count)
        told = [lean.told() for lean in most[:TOLD_MAX]]
        if rest := most[TOLD_MAX:]:
            broke = sum(lean.broke for lean in rest)
            told.append(f"neighbours: of {many(len(rest), 'other place')} {broke} broke and {len(rest) - broke} held")
        return (f"base rate {self.rate:.2f} ({self.source})", *told)

    @property
    def leaned(self) -> float:
        """Natural log odds by which neighbours moved it."""
        return _log_odds(self.probability) - _log_odds(self.rate)


def prior(
    weakness: Weakness,
    rate: tuple[float, str],
    neighbours: Sequence[Neighbour] = (),
    kin: Sequence[Relative] = (),
) -> Prior:
    """The base rate (0–1, with its source in words), leaned by neighbours, those that count most first.

    ``neighbours`` are results of other systems, ``kin`` those of this system's other places, by place.
    """
    base = inside(rate[0])
    alpha, beta = PRIOR_STRENGTH * base, PRIOR_STRENGTH * (1 - base)
    leans = []
    for near, broke, count in (*_own(kin), *_counted(weakness, neighbours)):
        before = alpha / (alpha + beta)
        alpha, beta = (alpha + count, beta) if broke else (alpha, beta + count)
        leans.append(_lean(near, broke, count, before, alpha / (alpha + beta)))
    return Prior(base, rate[1], alpha, beta, tuple(leans), tuple(neighbours))


def _counted(weakness: Weakness, neighbours: Iterable[Neighbour]) -> list[tuple[Neighbour, bool, float]]:
    """(what it is told by, whether it broke, pseudo-counts) for each similar place, those that count most first."""
    places: dict[tuple[str, str], list[Neighbour]] = {}
    for near in neighbours:
        if near.row.decided and near.row.weakness is weakness and near.similarity >= NEIGHBOUR_MIN:
            places.setdefault((near.row.system, near.row.place), []).append(near)
    told = [_place(near, NEIGHBOUR_STRENGTH) for near in places.values()]
    told.sort(key=lambda one: (-one[2], one[0].row.system, one[0].row.place))
    of: dict[str, float] = {}
    for near, _, count in told:
        of[near.row.system] = of.get(near.row.system, 0.0) + count
    counts = [count * min(1.0, SYSTEM_STRENGTH_MAX / of[near.row.system]) if count else 0.0 for near, _, count in told]
    scale = min(1.0, NEIGHBOURS_STRENGTH_MAX / total) if (total := sum(counts)) else 0.0
    return [(near, broke, scale * count) for (near, broke, _), count in zip(told, counts, strict=True)]


def _own(kin: Iterable[Relative]) -> list[tuple[Neighbour, bool, float]]:
    """The same for the other places of the system itself; what broke counts as far as the weakness explains it."""
    placed = ((_place(each.results, KIN_STRENGTH), each.present) for each in kin)
    told = [(near, broke, count * (present if broke else 1.0)) for (near, broke, count), present in placed]
    told.sort(key=lambda one: (-one[2], one[0].row.place))
    scale = min(1.0, KIN_STRENGTH_MAX / total) if (total := sum(count for *_, count in told)) else 0.0
    return [(near, broke, scale * count) for near, broke, count in told if count]


def _place(results: Sequence[Neighbour], strength: float) -> tuple[Neighbour, bool, float]:
    """One place, whatever was tried there: of each type of fault the latest counts, and one that broke decides."""
    latest: dict[tuple[str, ...], Neighbour] = {}
    for near in sorted(results, key=lambda n: (n.row.at, n.row.key)):
        latest[near.row.fault_types] = near
    standing = list(latest.values())
    broke = [near for near in standing if near.row.verdict is Verdict.BREAKS]
    best = max(broke or standing, key=lambda near: (near.weight, near.row.at, near.row.key))
    if broke:
        return best, True, strength * best.weight
    missed = 1.0
    for near in standing:
        missed *= 1 - tried(near.row)
    return best, False, strength * best.weight * (1 - missed)


@lru_cache(maxsize=65_536)
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


def _log_odds(probability: float) -> float:
    return math.log(probability / (1 - probability))
