"""When one check lost its steady state in one trial, and when it had it back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from executor.measure.samples import Samples, Series, window
from executor.model.evidence import Observation
from executor.model.probe import Check
from executor.model.vocabulary import Phase

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
    longest_outage_s: float
    """Longest stretch from a bad answer to the next good one."""
    watched: int
    """Answers after the fault came."""


def impact(check: Check, samples: Samples) -> Impact:
    """Follow one check from the moment the fault may have been felt to the end of the trial.

    A good answer that was asked for under the fault and came once the fault was being taken away shows neither that
    the check was well under it nor that it was not: it is left out.
    """
    asked = [o for o in samples.of(check.id) if samples.trial.fault_begins_s <= o.at_s < samples.trial.end_s]
    judged = zip(asked, goodness(check, samples, asked), strict=True)
    told = [(o, ok) for o, ok in judged if not (ok and _straddles(o, samples.trial.help_begins_s))]
    series, good = [o for o, _ in told], [ok for _, ok in told]
    k = window(check.rate_hz)
    violations = [i for i in range(len(good)) if _violated(good, i, k, check.slo.availability_min)]
    times = [o.at_s for o in series]
    windows = [i for i in range(len(good) - k + 1) if all(good[i : i + k])]
    recovered = next((i for i in windows if violations and i > violations[0]), None)
    back = next((i for i in windows if violations and i > violations[-1]), None)
    return Impact(
        check=check,
        began_s=times[violations[0]] if violations else None,
        recovered_s=None if recovered is None else times[recovered],
        recovered_by_s=None if recovered is None else times[recovered] + series[recovered].latency_ms / 1000,
        settled_s=None if recovered is None else times[recovered + k - 1],
        last_bad_s=None if recovered is None else _last_bad(good, times, recovered),
        back_s=None if back is None else times[back],
        back_settled_s=None if back is None else times[back + k - 1],
        flaps=sum(1 for a, b in pairwise(violations) if any(a < i < b for i in windows)),
        longest_outage_s=_longest_outage(good, times, samples.trial.end_s),
        watched=len(series),
    )


def regained(checks: Sequence[Check], samples: Samples) -> bool:
    """Whether every check that was hurt has been seen back for good, as far as was watched."""
    seen = [impact(check, samples) for check in checks]
    return all(each.began_s is None or each.back_s is not None for each in seen)


def _straddles(o: Observation, moment_s: float) -> bool:
    return o.at_s < moment_s < o.at_s + o.latency_ms / 1000


def goodness(check: Check, samples: Samples, series: Series) -> list[bool]:
    """Whether each answer is what users may expect: good, and within the promised (or else the usual) latency."""
    bound_ms = check.slo.latency_ms_max
    if bound_ms is None:
        usual = [o.latency_ms for o in samples.within(check.id, Phase.BASELINE) if o.ok]
        bound_ms = max([PATIENCE_MS, *(2 * latency for latency in usual)])
    return [o.ok and o.latency_ms <= bound_ms for o in series]


def _violated(good: Sequence[bool], i: int, k: int, least: float) -> bool:
    """Whether steady state is lost from bad answer ``i`` on: over the next ``k`` answers too few are good."""
    span = good[i : i + k]
    bad = len(span) - sum(span)
    return not good[i] and bad >= BAD_MIN and sum(span) / len(span) < least


def _last_bad(good: Sequence[bool], times: Sequence[float], before: int) -> float | None:
    return next((times[i] for i in range(before - 1, -1, -1) if not good[i]), None)


def _longest_outage(good: Sequence[bool], times: Sequence[float], end_s: float) -> float:
    longest, since = 0.0, None
    for ok, at_s in zip(good, times, strict=True):
        if ok and since is not None:
            longest, since = max(longest, at_s - since), None
        elif not ok and since is None:
            since = at_s
    return longest if since is None else max(longest, end_s - since)
