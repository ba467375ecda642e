"""What recovery depends on: which faults, technologies and positions recover faster or slower than all others."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from executor.measure.intervals import quantile, quantile_interval
from knowledge.patterns.frequent import FALSE_MAX, RUNS_MIN
from knowledge.resilience.measures import Dimension, Measure
from knowledge.rows import PastRow

EACH_MIN: Final = 4
"""Fewer recoveries on either side are not compared: of four against four only a clean split can be significant."""
PERMUTATIONS: Final = 4999

NEVER: Final = math.inf
"""Length of a recovery that was not seen before its deadline."""


@dataclass(frozen=True)
class Recovered:
    """How long one experiment's slowest check took to be back, and what was done to what."""

    run: str
    experiment: str
    seconds: float
    """``NEVER`` if it was not back in time in some trial."""
    factors: Mapping[str, str]
    """For instance ``fault: dead``, ``technology: postgresql``, ``position: leaf``, ``redundant: no``."""


@dataclass(frozen=True)
class Level:
    """Recoveries with something in common: how many, and their median with its interval, seconds."""

    n: int
    median_s: float
    low_s: float | None
    """Of the 95 % interval, from order statistics; ``None``: too few to bound that side."""
    high_s: float | None

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Level:
        """Of one or more."""
        ordered = sorted(seconds)
        return cls(len(ordered), quantile(ordered, 0.5), *quantile_interval(ordered, 0.5))


@dataclass(frozen=True)
class RecoveryPattern:
    """A circumstance under which recovery is faster or slower."""

    factor: str
    value: str
    there: Level
    elsewhere: Level
    """The other recoveries of which the same is known."""
    never: int
    """How many of those there were not seen to be back."""
    runs: int
    p_value: float
    """Chance of as large a difference of mean ranks if the circumstance meant nothing (permutations, two-sided)."""
    certain: bool
    """Whether it is more than chance, all circumstances taken together."""

    @property
    def slower(self) -> bool:
        """Whether recovery takes longer there."""
        return self.there.median_s > self.elsewhere.median_s


@dataclass(frozen=True)
class RecoveryPatterns:
    """The patterns, the most certain first, and all that they rest on."""

    patterns: tuple[RecoveryPattern, ...]
    recoveries: tuple[Recovered, ...]
    runs: int

    @property
    def enough(self) -> bool:
        """Whether there are runs and recoveries enough to say anything."""
        return self.runs >= RUNS_MIN and len(self.recoveries) >= 2 * EACH_MIN


def recoveries(past: Sequence[PastRow], measures: Mapping[str, Sequence[Measure]]) -> tuple[Recovered, ...]:
    """Every experiment in which something had failed, by the slowest of its checks; ``measures`` by run."""
    rows: dict[tuple[str, str], PastRow] = {}
    for row in past:
        rows.setdefault((row.run, row.experiment), row)
    slowest: dict[tuple[str, str], float] = {}
    for run, told in measures.items():
        for measure in told:
            key = (run, measure.experiment)
            if measure.dimension is Dimension.RECOVERY and key in rows:
                seconds = NEVER if measure.value is None else measure.value
                slowest[key] = max(seconds, slowest.get(key, 0.0))
    return tuple(Recovered(*key, seconds, _factors(rows[key])) for key, seconds in sorted(slowest.items()))


def recovery_patterns(found: Sequence[Recovered]) -> RecoveryPatterns:
    """What makes a difference. Ranks are compared, so that one that never came back is merely the slowest.

    Source: rank-sum test by permutation, E. J. G. Pitman (1937); Benjamini and Hochberg as in ``frequent``.
    """
    runs = len({each.run for each in found})
    whole = RecoveryPatterns((), tuple(found), runs)
    if not whole.enough:
        return whole
    ordered = sorted(_compared(found), key=lambda each: (each.p_value, each.factor, each.value))
    last = max((n for n, e in enumerate(ordered, start=1) if e.p_value <= FALSE_MAX * n / len(ordered)), default=0)
    told = (RecoveryPattern(**{**vars(each), "certain": n < last}) for n, each in enumerate(ordered))
    return RecoveryPatterns(tuple(told), tuple(found), runs)


def _compared(found: Sequence[Recovered]) -> Iterator[RecoveryPattern]:
    by_factor: dict[str, dict[str, list[Recovered]]] = defaultdict(lambda: defaultdict(list))
    for each in found:
        for factor, value in each.factors.items():
            by_factor[factor][value].append(each)
    for factor, levels in by_factor.items():
        said = False
        for value, there in sorted(levels.items()):
            others = [each for name, group in levels.items() if name != value for each in group]
            runs = len({each.run for each in there})
            if min(len(there), len(others)) < EACH_MIN or runs < RUNS_MIN or (said and len(levels) == 2):
                continue
            said = True  # of two levels one says it all
            seconds, rest = [each.seconds for each in there], [each.seconds for each in others]
            yield RecoveryPattern(
                factor=factor,
                value=value,
                there=Level.of(seconds),
                elsewhere=Level.of(rest),
                never=sum(each == NEVER for each in seconds),
                runs=runs,
                p_value=_chance(seconds, rest),
                certain=False,
            )


def _chance(ours: Sequence[float], others: Sequence[float]) -> float:
    values = np.asarray([*ours, *others])
    ordered = np.sort(values)
    ranks = (np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right") + 1) / 2
    count, expected = len(ours), len(ours) * (len(values) + 1) / 2
    orders = np.random.default_rng(0).permuted(np.tile(ranks, (PERMUTATIONS, 1)), axis=1)
    clear = abs(float(ranks[:count].sum()) - expected)
    as_clear = int((np.abs(orders[:, :count].sum(axis=1) - expected) >= clear - 1e-9).sum())
    return (1 + as_clear) / (1 + PERMUTATIONS)


def _factors(row: PastRow) -> dict[str, str]:
    features = row.features
    told = {
        "fault": " + ".join(features.fault_types),
        "technology": features.technology or features.kind,
        "position": features.role,
        "redundant": "yes" if features.instances > 1 else "no",
    }
    return {name: value for name, value in told.items() if value}
