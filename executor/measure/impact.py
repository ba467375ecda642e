"""When one check lost its steady state in one trial, and when it had it back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from executor.measure.columns import Flags, Floats, Series
from executor.measure.samples import GIVEN_UP, Samples, window
from executor.measure.spans import Span
from executor.model.probe import Check
from executor.model.vocabulary import Phase

Places = NDArray[np.intp]
BAD_MIN = 2
"""One bad answer is a blip, not an impact."""
PATIENCE_MS = 1000.0
"""Where no latency is promised, an answer slower than this (and than twice the slowest before the fault) is bad."""


@dataclass(frozen=True)
class Impact:
    """What happened to one check after the fault came. Times are intended starts, seconds since the run started."""

    check: Check
    began_s: float | None
    """First bad answer of the first violation of steady state; ``None``: never violated."""
    lost_by_s: float | None
    """When so many bad answers had come that it was violated: by then it was lost for sure."""
    well_s: float | None
    """Last good answer before ``began_s``; ``None``: there was none since the fault came, or it was never violated."""
    recovered_s: float | None
    """First answer of the first whole window of good ones after that; ``None``: not seen."""
    recovered_by_s: float | None
    """When that answer had come."""
    settled_s: float | None
    """Last answer of that window."""
    last_bad_s: float | None
    """Last bad answer before it recovered: recovery lies between the two."""
    back_s: float | None
    """As ``recovered_s``, after the *last* violation: back for good, as far as was watched."""
    back_settled_s: float | None
    """Last answer of the window that shows it."""
    flaps: int
    """How often it fell again after having recovered."""
    longest_outage: Span
    """Longest stretch from a bad answer to the next good one, seconds: the bad ones alone at the least, and at the most
    from the last good one before until the next had come; without end where none came."""
    watched: int
    """Answers after the fault came."""


def impact(check: Check, samples: Samples, until_s: float | None = None) -> Impact:
    """Follow one check from the moment the fault may have been felt to the end of the trial, or until another moment.

    A good answer that was asked for under the fault and came once the fault was being taken away shows neither that
    the check was well under it nor that it was not: it is left out. So is one that was given up at the trial's end
    before it had waited for longer than an answer may take.
    """
    end_s = samples.trial.end_s if until_s is None else until_s
    asked = samples.between(check.id, samples.trial.fault_begins_s, end_s)
    judged = goodness(check, samples, asked)
    help_s = samples.trial.help_begins_s
    told = ~(judged & (asked.at_s < help_s) & (help_s < asked.answered_s))
    told &= ~(asked.fails_with(GIVEN_UP) & (asked.latency_ms <= usual_ms(check, samples)))
    series, good = asked.where(told), judged[told]
    k = window(check.rate_hz)
    violations = _violations(good, k, check.slo.availability_min)
    windows = windows_of(good, k)
    recovered = _first_after(windows, violations[:1])
    back = _first_after(windows, violations[-1:])
    times, answered = series.at_s.tolist(), series.answered_s
    return Impact(
        check=check,
        began_s=times[violations[0]] if len(violations) else None,
        lost_by_s=_lost_by(good, answered, violations[0], k, check.slo.availability_min) if len(violations) else None,
        well_s=_last(good, times, violations[0]) if len(violations) else None,
        recovered_s=None if recovered is None else times[recovered],
        recovered_by_s=None if recovered is None else float(answered[recovered]),
        settled_s=None if recovered is None else times[recovered + k - 1],
        last_bad_s=None if recovered is None else _last(~good, times, recovered),
        back_s=None if back is None else times[back],
        back_settled_s=None if back is None else times[back + k - 1],
        flaps=_flaps(violations, windows),
        longest_outage=_longest_outage(good, series, samples.trial.fault_begins_s, end_s),
        watched=len(series),
    )


def goodness(check: Check, samples: Samples, series: Series) -> Flags:
    """Whether each answer is what users may expect: good, and within the promised (or else the usual) latency."""
    return series.ok & (series.latency_ms <= usual_ms(check, samples))


def usual_ms(check: Check, samples: Samples) -> float:
    """The latency within which an answer is what users may expect, ms: the promised, or else by what was usual."""
    if check.slo.latency_ms_max is not None:
        return check.slo.latency_ms_max
    baseline = samples.within(check.id, Phase.BASELINE)
    return max(PATIENCE_MS, 2 * float(baseline.latency_ms[baseline.ok].max(initial=0.0)))


def windows_of(good: Flags, k: int) -> Places:
    """Where ``k`` good answers begin that follow one another."""
    so_far = _so_far(good)
    return np.flatnonzero(so_far[k:] - so_far[:-k] == k)


def _so_far(good: Flags) -> Places:
    """How many good ones stand before each place, and before the end."""
    return np.concatenate([np.zeros(1, dtype=np.intp), np.cumsum(good, dtype=np.intp)])


def _violations(good: Flags, k: int, least: float) -> Places:
    """Bad answers from which on steady state is lost: over the next ``k`` answers too few are good."""
    so_far, places = _so_far(good), np.arange(len(good))
    ends = np.minimum(places + k, len(good))
    spans, well = ends - places, so_far[ends] - so_far[:-1]
    return np.flatnonzero(~good & (spans - well >= BAD_MIN) & (well / spans < least))


def _first_after(windows: Places, violation: Places) -> int | None:
    """The first window after a violation; ``None`` if there is no such, or no violation."""
    later = windows[np.searchsorted(windows, violation[0], side="right") :] if len(violation) else windows[:0]
    return int(later[0]) if len(later) else None


def _flaps(violations: Places, windows: Places) -> int:
    """Violations with a window between them and the one before."""
    after = np.searchsorted(windows, violations[:-1], side="right")
    return int(np.count_nonzero(np.searchsorted(windows, violations[1:], side="left") > after))


def _lost_by(good: Flags, answered_s: Floats, violation: int, k: int, least: float) -> float:
    """When the bad answers had come that make it a violation, were all others of its window good."""
    seen = good[violation : violation + k]
    bad = np.flatnonzero(~seen)
    needed = next(n for n in range(BAD_MIN, len(bad) + 1) if (len(seen) - n) / len(seen) < least)
    return float(answered_s[violation + bad[:needed]].max())


def _last(those: Flags, times: Sequence[float], before: int) -> float | None:
    found = np.flatnonzero(those[:before])
    return times[found[-1]] if len(found) else None


def _longest_outage(good: Flags, series: Series, begin_s: float, end_s: float) -> Span:
    """Of the answers between two moments, seconds since the run started; each end of the interval is of its longest."""
    turns = np.diff(good.astype(np.int8), prepend=1, append=1)  # -1 where bad ones begin, 1 where they are over
    first, over = np.flatnonzero(turns[:-1] == -1), np.flatnonzero(turns == 1)
    if not len(first):
        return Span(0.0, 0.0, 0.0)
    at_s = series.at_s
    seen = np.append(at_s, end_s)[over] - at_s[first]
    least = at_s[over - 1] - at_s[first]
    most = np.append(series.answered_s, np.inf)[over] - np.append(begin_s, at_s)[first]
    return Span(float(seen.max()), float(least.max()), float(most.max()))
