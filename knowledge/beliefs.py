"""Beliefs: how likely each weakness is at each place, and the grounds for it. Arithmetic only; runs nothing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from executor.model.system import System
from executor.model.vocabulary import Verdict, Weakness
from knowledge.features import describe
from knowledge.neighbours import Neighbour, Remembers, recency
from knowledge.rows import PastRow
from knowledge.sensitivity import FALSE_ALARM, sensitivity

if TYPE_CHECKING:
    from knowledge.ledger import Ledger

Key = tuple[Weakness, str]
"""A weakness at a place."""

PRIOR_STRENGTH = 2.0
"""Pseudo-counts of a base rate: as much as two observations."""
NEIGHBOURS = 12
"""So many past results are asked for, for each hypothesis."""
NEIGHBOUR_MIN = 0.6
"""A past result less similar than this says nothing here."""
NEIGHBOUR_STRENGTH = 0.6
"""Pseudo-counts of one result of today at a place just alike: other code was written by other hands."""
NEIGHBOURS_STRENGTH_MAX = 3.0
"""All neighbours together count at most so much: own runs decide, neighbours only lean."""
SHOWN_MIN = 0.95
"""A weakness that an experiment has shown, and that was not tried again since, is believed at least this much."""
EDGE = 0.001
"""Probabilities stay this far from 0 and 1: nothing is ever certain."""
CONTRADICTED = 0.5
"""A ``holds`` after a ``breaks`` under the same type of fault counts so much: repaired, or it comes and goes."""


@dataclass(frozen=True)
class Belief:
    """What is believed of one weakness at one place."""

    weakness: Weakness
    place: str
    alpha: float
    """Pseudo-counts for: the mean of Beta(alpha, beta) is P(present)."""
    beta: float
    """Pseudo-counts against."""
    grounds: tuple[str, ...]
    """Each number's origin, in words: base rate, neighbours, runs."""
    runs: int = 0
    """How many results at this very place decided something."""
    tested: tuple[str, ...] = ()
    """Types of faults (``knowledge.fault_types``) under which the place was tried and something was decided."""

    @property
    def probability(self) -> float:
        """P(present), within (0, 1)."""
        return self.alpha / (self.alpha + self.beta)


def beliefs_for(
    system: System,
    rates: Mapping[Key, tuple[float, str]],
    ledger: Ledger,
    memory: Remembers | None = None,
    *,
    now: datetime | None = None,
) -> tuple[Belief, ...]:
    """A belief for each (weakness, place) of ``rates``, in the order of weakness and place.

    ``rates`` holds base rates, 0–1, each with its source in words. Without a memory only base rates and own runs count.
    Raises ``UnavailableError`` if ledger or memory cannot be read.
    """
    now = now or datetime.now(UTC)
    keys = sorted(rates, key=lambda key: (key[0].value, key[1]))
    own: dict[Key, list[PastRow]] = {}
    for row in ledger.past(system.name):
        own.setdefault((row.weakness, row.place), []).append(row)
    queries = [describe(system, *key) for key in keys]
    near = memory.similar_each(queries, NEIGHBOURS, now=now) if memory else [()] * len(keys)
    result = []
    for key, neighbours in zip(keys, near, strict=True):
        others = [n for n in neighbours if (n.row.system, n.row.place) != (system.name, key[1])]
        result.append(believe(key, rates[key], own.get(key, ()), others, now=now))
    return tuple(result)


def believe(
    key: Key,
    rate: tuple[float, str],
    own: Sequence[PastRow],
    neighbours: Sequence[Neighbour] = (),
    *,
    now: datetime,
) -> Belief:
    """One belief: the base rate, leaned by neighbours, then Bayes over the place's own results, oldest first.

    Of each type of fault the latest verdict counts, and a ``holds`` under one type leaves room for what other types may
    still show. Inconclusive and aborted results, and those whose edge was not exercised, move nothing.
    """
    base, source = _inside(rate[0]), rate[1]
    alpha, beta = PRIOR_STRENGTH * base, PRIOR_STRENGTH * (1 - base)
    grounds = [f"base rate {base:.2f} ({source})"]
    leaned, told = _lean(key[0], neighbours)
    alpha, beta, grounds = alpha + leaned[0], beta + leaned[1], grounds + told

    decided = [row for row in own if row.decided]
    latest = _latest(decided)
    odds = math.log(alpha / beta) + sum(
        _evidence(key[0], types, row, contradicted, now) for types, (row, contradicted) in sorted(latest.items())
    )
    probability = _inside(1 / (1 + math.exp(-odds)))
    if any(row.verdict is Verdict.BREAKS for row, _ in latest.values()):
        probability = max(probability, SHOWN_MIN)
    strength = alpha + beta + len(latest)
    return Belief(
        weakness=key[0],
        place=key[1],
        alpha=probability * strength,
        beta=(1 - probability) * strength,
        grounds=(*grounds, *(_told(row) for row in own)),
        runs=len(decided),
        tested=tuple(sorted({name for row in decided for name in row.fault_types})),
    )


def tested_types(past: Iterable[PastRow], weakness: Weakness, place: str) -> Mapping[str, Verdict]:
    """Type of fault → latest verdict that decided something, for one weakness at one place of one system."""
    here = [row for row in past if row.decided and (row.weakness, row.place) == (weakness, place)]
    return {name: row.verdict for row in here for name in row.fault_types}


def _lean(weakness: Weakness, neighbours: Sequence[Neighbour]) -> tuple[tuple[float, float], list[str]]:
    """Pseudo-counts (for, against) from similar places, and their words. Each place counts once, by its nearest."""
    places: dict[tuple[str, str], Neighbour] = {}
    for near in sorted(neighbours, key=lambda n: (-n.weight, n.row.at, n.row.key)):
        if near.row.decided and near.row.weakness is weakness and near.similarity >= NEIGHBOUR_MIN:
            places.setdefault((near.row.system, near.row.place), near)
    weights = {at: NEIGHBOUR_STRENGTH * near.similarity * near.weight * _trust(near.row) for at, near in places.items()}
    scale = min(1.0, NEIGHBOURS_STRENGTH_MAX / total) if (total := sum(weights.values())) else 0.0
    broke = [at for at, near in places.items() if near.row.verdict is Verdict.BREAKS]
    alpha = scale * sum(weights[at] for at in broke)
    beta = scale * total - alpha
    return (alpha, max(0.0, beta)), [_told_neighbour(near) for near in places.values()]


def _trust(row: PastRow) -> float:
    """One that broke shows that the weakness occurs; one that held shows its absence only as far as it was tried."""
    return 1.0 if row.verdict is Verdict.BREAKS else sensitivity(row.weakness, row.fault_types)


def _latest(decided: Sequence[PastRow]) -> dict[tuple[str, ...], tuple[PastRow, bool]]:
    """Types of fault → (latest result, whether an earlier one under them said otherwise)."""
    latest: dict[tuple[str, ...], tuple[PastRow, bool]] = {}
    for row in sorted(decided, key=lambda r: (r.at, r.run, r.hypothesis)):
        before = latest.get(row.fault_types)
        contradicted = before is not None and (before[1] or before[0].verdict is not row.verdict)
        latest[row.fault_types] = (row, contradicted)
    return latest


def _evidence(weakness: Weakness, types: tuple[str, ...], row: PastRow, contradicted: bool, now: datetime) -> float:
    """Log-odds that one result adds."""
    seen = sensitivity(weakness, types)
    if row.verdict is Verdict.BREAKS:
        return max(0.0, math.log(seen / FALSE_ALARM))
    return (
        min(0.0, math.log((1 - seen) / (1 - FALSE_ALARM)))
        * recency(row.at, now)
        * (CONTRADICTED if contradicted else 1.0)
    )


def _inside(probability: float) -> float:
    return max(EDGE, min(1 - EDGE, probability))


_VERBS = {Verdict.HOLDS: "held", Verdict.BREAKS: "broke"}


def _told(row: PastRow) -> str:
    verb = _VERBS.get(row.verdict, f"{row.verdict.value} (moves nothing)")
    return _line(f"{row.run}: {verb} under {row.fault}: {row.reason}")


def _told_neighbour(near: Neighbour) -> str:
    row = near.row
    return _line(
        f"neighbour: {row.system} {row.place} {_VERBS[row.verdict]} under {row.fault} "
        f"(similarity {near.similarity:.2f}, {row.run})"
    )


def _line(text: str) -> str:
    return text if len(text) <= 400 else text[:399] + "…"
