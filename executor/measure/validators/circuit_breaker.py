"""Circuit breaker: a caller soon leaves a dead dependency alone, fails fast meanwhile, and uses it again once it can.

Source: M. Nygard, "Release It!", 2nd edition (2018), chapter 5, "Circuit Breaker" (open, half-open, closed).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from executor.measure.calls import CALLS_MIN, Calls, calls, calls_between, together
from executor.measure.criteria.common import ANSWERS_MIN, Part, of_share, words
from executor.measure.detection import CUT_SHORT
from executor.measure.impact import PATIENCE_MS
from executor.measure.intervals import Share, rate_ratio
from executor.measure.samples import Samples
from executor.measure.settled import CLOSED, in_use
from executor.measure.validators.common import promised_factors, validation
from executor.measure.validators.felt import (
    Edge,
    asks,
    away,
    counted,
    drivers_unwell,
    good_of,
    injected,
    unless_disturbed,
    watched,
    whole,
)
from executor.model.evidence import Validation
from executor.model.plan import Action, Experiment, InstanceTarget
from executor.model.vocabulary import FaultType, Phase, Verdict

FACTOR_MAX = 0.5
"""A breaker that opens leaves a small part of the calls; one that does not leaves them all."""
OPENS_AFTER = 1 / 3
"""In this part of the fault phase a breaker may still find out that its dependency is dead."""
FAST_MIN = 0.9
"""So many of the callers' answers must come in time."""


def validate(experiment: Experiment, trials: Sequence[Samples]) -> Iterator[Validation]:
    """One result an edge with counted calls (a managed proxy on it) whose callee a fault takes from its caller whole.

    Calls are those that really arrive on the edge. Measured are calls per second in the last two thirds of the fault
    phase ÷ those of the baseline; the share of the callers' answers, good or bad, that come within their promised
    latency (1 s where none is) meanwhile; and calls per second at the trial's end ÷ those of the baseline. That calls
    fall since callers hang is no breaker; and nothing is told of a callee that was not away all the time.
    """
    told = injected(trials)
    for edge in counted(experiment, told):
        if not all(_whole(action) for action in experiment.actions if away(edge, action.target)):
            continue
        if why := drivers_unwell(edge, experiment, told) or _not_away(edge, experiment, told):
            parts = [Part(Verdict.INCONCLUSIVE, why)]
        else:
            parts = [_fall(edge, experiment, told)]
            if parts[0].verdict is not Verdict.BREAKS:
                fast = unless_disturbed(_fail_fast(edge, experiment, told), experiment, told)
                parts += [fast, _close(edge, experiment, told)]
        expected = (
            f"while {edge[1]} is away at most {_bound(edge, experiment):g} × the calls, answers in time; then all"
        )
        yield validation("circuit_breaker", "->".join(edge), parts, expected)


def _whole(action: Action) -> bool:
    """Whether a fault strikes every call. An instance that is only slow is there, a delay on an edge is for all."""
    fault: Any = action.fault
    slow = fault.looks() is FaultType.SLOW and not isinstance(action.target, InstanceTarget)
    return whole(fault) or (slow and getattr(fault, "path", "*") == "*" and getattr(fault, "method", "*") == "*")


def _late(experiment: Experiment, samples: Samples) -> tuple[float, float]:
    """The part of the fault phase in which a breaker should be open, seconds since the run started.

    By the length that was planned, too: where a trial was cut short a breaker has had no more time for that.
    """
    begin_s, end_s = samples.bounds(Phase.FAULT)
    planned_s = min(action.duration_s for action in experiment.actions)
    return min(end_s, begin_s + OPENS_AFTER * max(planned_s, end_s - begin_s)), end_s


def _not_away(edge: Edge, experiment: Experiment, trials: Sequence[Samples]) -> str:
    """Why nothing shows that the callee was away to the end, in words; empty: it was.

    A fault on the edge itself is all there is to show. A struck instance may be back before its time, or others stand
    beside it: the callee's own checks tell.
    """
    if not any(isinstance(a.target, InstanceTarget) and a.target.service == edge[1] for a in experiment.actions):
        return ""
    good = good_of(edge[1], experiment, [(samples, _late(experiment, samples)) for samples in trials])
    if good.n < ANSWERS_MIN:
        return f"no check of {edge[1]} shows whether it was away"
    return "" if good.high < 0.5 else f"{edge[1]} was not away all the time: {words(good)} good"


def _fall(edge: Edge, experiment: Experiment, trials: Sequence[Samples]) -> Part:
    """Whether calls fall; a few of them are what finds out whether the callee is back."""
    usual = _usual(edge, trials)
    late = together(calls_between(samples, *edge, *_late(experiment, samples)) for samples in trials)
    if usual is None or late is None or usual.count < CALLS_MIN:
        return Part(Verdict.INCONCLUSIVE, "too few calls counted to compare")
    ratio = rate_ratio(late.count, late.span_s, usual.count, usual.span_s)
    if ratio is None:
        return Part(Verdict.INCONCLUSIVE, "too few calls counted to compare")
    bound = _bound(edge, experiment)
    measured = f"{ratio.value:.2f} × the calls (95 % interval {ratio.low:.2f}–{ratio.high:.2f})"
    if ratio.low > bound:
        return Part(Verdict.BREAKS, f"{measured}, {late.count} in {late.span_s:.1f} s")
    measured += f", {late.count or 'none'} in {late.span_s:.1f} s to find out whether {edge[1]} is back"
    return Part(Verdict.HOLDS if ratio.value <= bound and ratio.high < 1 else Verdict.INCONCLUSIVE, measured)


def _fail_fast(edge: Edge, experiment: Experiment, trials: Sequence[Samples]) -> Part:
    """Whether those that ask through the edge are answered in time, well or not. A caller that is gone answers none."""
    within = total = 0
    for check in experiment.checks:
        if not asks(check, edge):
            continue
        limit_ms = check.slo.latency_ms_max or PATIENCE_MS
        for samples in trials:
            begin_s, end_s = _late(experiment, samples)
            # all that began too near the end are left out, quick ones too: keeping only those would flatter
            series = samples.between(check.id, begin_s, end_s - limit_ms / 1000)
            slow = series.latency_ms > limit_ms
            told = slow | ~series.fails_with(CUT_SHORT)
            quick = told & ~slow & (series.ok | np.array([each.status is not None for each in series], dtype=bool))
            within, total = within + int(np.count_nonzero(quick)), total + int(np.count_nonzero(told))
    share = Share(within, total)
    return Part(of_share(share, FAST_MIN), f"{words(share)} of the callers' answers in time")


def _close(edge: Edge, experiment: Experiment, trials: Sequence[Samples]) -> Part:
    """Whether the edge is used again at the trials' end. One that was not watched to the end may still be."""
    now = in_use(edge, trials)
    if now is None:
        return Part(Verdict.INCONCLUSIVE, "calls after the fault were not counted")
    measured = f"at the end {now.value:.2f} × the calls"
    if now.value >= CLOSED:
        return Part(Verdict.HOLDS, measured)
    whole = all(watched(experiment, samples) for samples in trials)
    return Part(Verdict.BREAKS if whole and now.high < CLOSED else Verdict.INCONCLUSIVE, measured)


def _usual(edge: Edge, trials: Sequence[Samples]) -> Calls | None:
    return together(calls(samples, *edge, Phase.BASELINE) for samples in trials)


def _bound(edge: Edge, experiment: Experiment) -> float:
    """As the hypotheses promise. A bound of 1 or more speaks of retries, not of a breaker."""
    wanted = (factor for factor in promised_factors(experiment, edge) if factor < 1)
    return min(wanted, default=FACTOR_MAX)
