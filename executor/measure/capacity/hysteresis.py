"""Whether a service comes back by itself once an overload is over."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from executor.load.window import Window
from executor.measure.capacity.level import Estimate
from executor.measure.intervals import mean_interval

WINDOWS_MIN = 5
SUSTAINED = 5
"""Windows in a row that must be well for it to have recovered."""
WELL = 0.95
"""A window is well that serves this share of what was served before."""
ILL = 0.9
"""A service that serves less than this share of what it did before has not come back."""


@dataclass(frozen=True)
class Hysteresis:
    """What became of goodput, as shares of the requests due; ``None`` where nothing could be concluded.

    ``metastable``: the overload is gone and the bad state stays.
    """

    verdict: Literal["recovers", "metastable", "inconclusive"]
    why: str
    before: Estimate | None = None
    during: Estimate | None = None
    after: Estimate | None = None
    """Of the last third."""
    recovery_s: Estimate | None = None
    """From the end of the overload to the first of the windows that stay well; a window's length bounds its error."""


def hysteresis(windows: Sequence[Window], overload: tuple[float, float]) -> Hysteresis:
    """Compare the same load before and after an overload, of which the start and the end are given.

    They are in seconds, as the windows' are. The load after it must go on for at least as long as the overload, and be
    what it was before.

    Source: N. Bronson, A. Aghayev, A. Charapko, T. Zhu, "Metastable Failures in Distributed Systems", HotOS 2021; L.
    Huang et al., "Metastable Failures in the Wild", OSDI 2022 (trigger, its removal, and the state that stays).
    """
    begin_s, end_s = overload
    kept = [window for window in windows if window.due]
    before = [window for window in kept if window.end_s <= begin_s]
    during = [window for window in kept if window.at_s >= begin_s and window.end_s <= end_s]
    after = [window for window in kept if window.at_s >= end_s]
    if min(len(before), len(during)) < WINDOWS_MIN or len(after) < 3 * WINDOWS_MIN:
        least = f"{WINDOWS_MIN} windows before and during, and {3 * WINDOWS_MIN} after an overload"
        return Hysteresis("inconclusive", f"{least} are needed")
    was, then = _served(before), _served(during)
    if was.low < 0.5:
        return Hysteresis("inconclusive", f"before it only {was.value:.0%} of the requests were served", was, then)
    if then.high >= WELL * was.value:
        return Hysteresis("inconclusive", "the overload overloaded nothing", was, then)
    rate, later = _rate(before), _rate(after)
    if abs(later - rate) > 0.1 * rate:
        return Hysteresis("inconclusive", "the load after it was not the load before it", was, then)
    third = len(after) // 3
    last = _served(after[-third:])
    well = [window.good >= WELL * was.value * window.due for window in after]
    came = next((k for k in range(len(well) - SUSTAINED + 1) if all(well[k : k + SUSTAINED])), None)
    if came is not None and _mean(after[came:]) >= WELL * was.value and last.value >= WELL * was.value:
        at_s = after[came].at_s - end_s
        recovery = Estimate(at_s, max(0.0, at_s - after[came].span_s), at_s + after[came].span_s)
        return Hysteresis("recovers", f"well again after {at_s:.1f} s", was, then, last, recovery)
    if last.high >= ILL * was.value:
        return Hysteresis("inconclusive", "it is neither back nor clearly away", was, then, last)
    if after[-1].end_s - end_s < end_s - begin_s:
        return Hysteresis("inconclusive", "it was not watched for as long as the overload lasted", was, then, last)
    earlier = _served(after[-2 * third : -third])
    if last.low > earlier.high and last.value - earlier.value > (1 - WELL) * was.value:
        return Hysteresis("inconclusive", "it was still getting better", was, then, last)
    watched_s = after[-1].end_s - end_s
    why = f"{last.value:.0%} of the requests are served {watched_s:.0f} s after the overload"
    return Hysteresis("metastable", why, was, then, last)


def _served(windows: Sequence[Window]) -> Estimate:
    shares = [window.good / window.due for window in windows]
    return Estimate(statistics.fmean(shares), *mean_interval(shares))


def _mean(windows: Sequence[Window]) -> float:
    return sum(window.good for window in windows) / sum(window.due for window in windows)


def _rate(windows: Sequence[Window]) -> float:
    return sum(window.due for window in windows) / sum(window.span_s for window in windows)
