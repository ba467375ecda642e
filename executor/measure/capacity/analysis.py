"""From the recorded steps of a search to what is known of an instance's capacity. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from executor.measure.capacity.cliff import cliff
from executor.measure.capacity.failure import failure
from executor.measure.capacity.hysteresis import Hysteresis, hysteresis
from executor.measure.capacity.knee import Knee, knee
from executor.measure.capacity.level import Estimate, Level, level
from executor.measure.capacity.saturation import saturation
from executor.measure.capacity.search import MaximumSearch, Outcome
from executor.measure.capacity.steps import Promise, Step, outcome
from executor.measure.capacity.usl import Scalability, fit
from executor.measure.criteria.common import line
from executor.measure.intervals import mean_interval
from executor.model.capacity import Capacity, CapacityLevel, Estimated
from executor.model.faults.service import Overload
from executor.model.wording import percent

BEYOND = 1.05
"""A rate is beyond the largest that is carried if it is above it by this factor."""
FAR = 1.2
"""And far beyond by this one."""
_CALM = 0.97
_SLOWER = 1.2
"""A latency that never rises by this factor has no knee that anybody would notice, however sure its place is."""
_APART = 1.1
"""Rates nearer to each other than this give slopes that are mostly noise."""


@dataclass(frozen=True)
class _Seen:
    """One rate that was looked at."""

    step: Step
    outcome: Outcome
    level: Level


def capacity(action: str, instance: str, fault: Overload, steps: Sequence[Step]) -> Capacity:
    """What the steps of one search show. Without any, everything is inconclusive."""
    assert fault.search is not None
    wanted = fault.search
    promise = Promise(wanted.good_within_ms / 1000, wanted.good_share)
    search = MaximumSearch(wanted.start_rps, fault.rate_rps, resolution=wanted.resolution)
    seen: list[_Seen] = []
    for step in (each for each in steps if each.part != "after"):
        came = outcome(step.windows, step.rate_rps, promise, fault.concurrency)
        if step.part == "search":  # of several tries the last one counts
            search.settle(step.rate_rps, came)
        until_s = math.inf if step.seconds is None else step.seconds
        if (found := level(step.windows, after_s=promise.warmup_s, until_s=until_s)) is not None:
            seen.append(_Seen(step, came, found))
    maximum = search.result()
    seen.sort(key=lambda each: each.level.offered_rps)
    made = [each for each in seen if each.outcome != "unreachable"]
    # How long a search looks at a rate that is not carried depends on what it sees, and so does what is served by then.
    levels = [each.level for each in _spaced([e for e in made if e.step.part == "curve" or e.outcome == "stable"])]
    turn, drop = _knee(levels), cliff(_apart(levels))
    carried = [each.level for each in _spaced([e for e in made if e.outcome == "stable"])]
    law = _law([each for each in carried if maximum.low_rps and each.offered_rps <= _CALM * maximum.low_rps])
    beyond = [each for each in made if maximum.low_rps and each.level.offered_rps > BEYOND * maximum.low_rps]
    quiet = min((each.latency_p50_ms for each in carried if each.latency_p50_ms is not None), default=None)
    full = saturation(
        [usage for each in beyond for usage in each.step.usage], levels, None if quiet is None else quiet / 1000
    )
    kept = _kept(levels, maximum.low_rps)
    looks = [usage for step in steps for usage in step.usage]
    fails = failure(
        [w for each in beyond if each.step.rate_rps == beyond[-1].step.rate_rps for w in each.step.windows],
        wanted.good_share,
        alive=all(usage.alive for usage in looks),
        out_of_memory=any(usage.out_of_memory for usage in looks),
    )
    back = _after(steps)
    return Capacity(
        action=action,
        instance=instance,
        good_within_ms=wanted.good_within_ms,
        good_share=wanted.good_share,
        limit_rps=fault.rate_rps,
        maximum=maximum.verdict,
        low_rps=maximum.low_rps,
        high_rps=maximum.high_rps,
        confidence=maximum.confidence,
        why=line(maximum.why),
        knee=_estimated(turn.at),
        knee_why=line(f"{turn.verdict}, decided by {turn.decided_by}: {turn.why}"),
        beyond_rps=None if kept is None else kept[0],
        beyond=None if kept is None else kept[1],
        cliff=drop.verdict,
        cliff_at_rps=drop.at_rps,
        cliff_why=line(drop.why),
        scaling=law.verdict,
        alone_rps=_estimated(law.gamma_rps),
        contention=_estimated(law.sigma),
        coherency=_estimated(law.kappa),
        peak_concurrency=law.peak_concurrency.value
        if law.peak_concurrency and math.isfinite(law.peak_concurrency.value)
        else None,
        scaling_why=line(law.why),
        saturated=full.resource,
        saturated_why=line(full.why),
        failure=fails.mode,
        failure_why=line(fails.why),
        after=back.verdict,
        after_why=line(back.why),
        recovery_s=_estimated(back.recovery_s),
        levels=tuple(_level(each) for each in seen),
    )


def _spaced(seen: Sequence[_Seen]) -> list[_Seen]:
    """One of each rate, as they rise: of those that are as good as the same, the one that was looked at longest."""
    kept: list[_Seen] = []
    for each in seen:
        if kept and each.level.offered_rps < 1.03 * kept[-1].level.offered_rps:
            kept[-1] = max(kept[-1], each, key=lambda one: one.level.span_s)
        else:
            kept.append(each)
    return kept


def _apart(levels: Sequence[Level]) -> list[Level]:
    """Some of them, from the largest down, none too near to the next."""
    kept: list[Level] = []
    for each in reversed(levels):
        if not kept or _APART * each.offered_rps <= kept[-1].offered_rps:
            kept.append(each)
    return kept[::-1]


def _kept(levels: Sequence[Level], low_rps: float | None) -> tuple[float, Estimated] | None:
    """What is still served at the rate farthest beyond the largest that is carried, as a share of the most served.

    With the 95 % interval of its windows' mean. ``None`` where no rate far beyond was tried.
    """
    if low_rps is None or not (far := [each for each in levels if each.offered_rps >= FAR * low_rps]):
        return None
    most = max(each.goodput_rps for each in levels)
    last = far[-1]
    low, high = mean_interval([part / most for part in last.parts_rps])
    return last.offered_rps, Estimated(value=last.goodput_rps / most, low=max(0.0, low), high=high)


def _knee(levels: Sequence[Level]) -> Knee:
    points = [(each.offered_rps, each.latency_p50_ms) for each in levels if each.latency_p50_ms is not None]
    found = knee([rate for rate, _ in points], [ms for _, ms in points], "convex")
    if found.at is not None and max(ms for _, ms in points) < _SLOWER * min(ms for _, ms in points):
        return Knee("none", "neither", f"latency is within {percent(_SLOWER - 1)} of its least at every rate")
    return found


def _law(carried: Sequence[Level]) -> Scalability:
    """Of what is carried with ease: near the maximum those who wait count as under way, and beyond it no law holds."""
    return fit([(each.concurrency, each.goodput_rps) for each in carried if each.concurrency is not None])


def _after(steps: Sequence[Step]) -> Hysteresis:
    last = next((step for step in steps if step.overload_s is not None), None)
    if last is None or last.overload_s is None:
        return Hysteresis("inconclusive", "no overload was tried")
    return hysteresis(last.windows, last.overload_s)


def _level(seen: _Seen) -> CapacityLevel:
    found = seen.level
    return CapacityLevel(
        offered_rps=found.offered_rps,
        goodput_rps=found.goodput_rps,
        outcome=seen.outcome,
        latency_p50_ms=found.latency_p50_ms,
        latency_p95_ms=found.latency_p95_ms,
        latency_p99_ms=found.latency_p99_ms,
        concurrency=found.concurrency,
        n=found.due,
    )


def _estimated(estimate: Estimate | None) -> Estimated | None:
    if estimate is None or not all(map(math.isfinite, (estimate.value, estimate.low, estimate.high))):
        return None
    return Estimated(value=estimate.value, low=estimate.low, high=estimate.high)
