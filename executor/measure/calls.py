"""How many calls arrived on an edge, from its recorded counter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from executor.measure.columns import Series
from executor.measure.counters import counter
from executor.measure.intervals import RateRatio, rate_ratio
from executor.measure.samples import Samples
from executor.model.vocabulary import Phase

CALLS_MIN = 8
"""Fewer calls than this in the baseline are nothing to compare with."""


@dataclass(frozen=True)
class Calls:
    """Calls that arrived, and over how many seconds."""

    count: int
    span_s: float


def calls(samples: Samples, caller: str, callee: str, phase: Phase) -> Calls | None:
    """Calls between the first and the last reading of a phase; ``None`` if the counter was not readable throughout."""
    return _counted(samples.within(counter(caller, callee), phase))


def calls_between(samples: Samples, caller: str, callee: str, begin_s: float, end_s: float) -> Calls | None:
    """The same between two moments, seconds since the run started."""
    return _counted(samples.between(counter(caller, callee), begin_s, end_s))


def _counted(series: Series) -> Calls | None:
    """A counter that falls belongs to a proxy that was started anew: what it missed is unknown."""
    read = [(o.at_s, o.value) for o in series if o.value is not None]
    if len(read) < 2 or any(b < a for (_, a), (_, b) in pairwise(read)):
        return None
    return Calls(round(read[-1][1] - read[0][1]), read[-1][0] - read[0][0])


def total(trials: Sequence[Samples], caller: str, callee: str, phase: Phase) -> Calls | None:
    """The same over all trials in which it was readable; ``None`` if it was in none."""
    return together(calls(samples, caller, callee, phase) for samples in trials)


def together(counted: Iterable[Calls | None]) -> Calls | None:
    """All that could be counted; ``None`` if nothing could."""
    seen = [each for each in counted if each is not None]
    return Calls(sum(c.count for c in seen), sum(c.span_s for c in seen)) if seen else None


def amplification(trials: Sequence[Samples], caller: str, callee: str) -> tuple[RateRatio, int] | None:
    """Calls per second under fault over those before it, and the calls it rests on; ``None`` if that says nothing."""
    before = total(trials, caller, callee, Phase.BASELINE)
    during = total(trials, caller, callee, Phase.FAULT)
    if before is None or during is None or before.count < CALLS_MIN:
        return None
    ratio = rate_ratio(during.count, during.span_s, before.count, before.span_s)
    return None if ratio is None else (ratio, before.count + during.count)
