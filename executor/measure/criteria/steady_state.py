"""``steady_state``: the checks keep their availability, and their latency if it is meant, through a phase."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from executor.measure.criteria.common import Part, combine, not_well_before, of_share, result, words
from executor.measure.criteria.served import served
from executor.measure.intervals import Share
from executor.measure.samples import Samples
from executor.model.criteria import SteadyState
from executor.model.evidence import CriterionResult
from executor.model.plan import Experiment
from executor.model.vocabulary import Verdict

QUICK_MIN = 0.95
"""The 95th percentile is within a bound when this share of answers is."""


def judge(criterion: SteadyState, _experiment: Experiment, trials: Sequence[Samples]) -> CriterionResult:
    """Every check must keep it; answers of all trials count together."""
    limit = f"at least {criterion.availability_min:.0%} good answers in the {criterion.phase} phase"
    if criterion.after_s:
        limit += f" after its first {criterion.after_s:g} s"
    if criterion.latency_ms_max is not None:
        limit += f", 95 % of good ones within {criterion.latency_ms_max:g} ms"
    if criterion.provided:
        limit += f", while {', '.join(criterion.provided)} keep{'s' if len(criterion.provided) == 1 else ''} it"
    failed = [part for part in (_provided(criterion, name, trials) for name in criterion.provided) if part is not None]
    parts = failed or [_check(criterion, name, trials) for name in criterion.checks]
    return result(criterion.kind, parts, limit)


def _provided(criterion: SteadyState, name: str, trials: Sequence[Samples]) -> Part | None:
    """Why nothing can be said, if a check on which that depends was not served either."""
    told = [served(samples, name, criterion.phase, criterion.after_s) for samples in trials]
    good = Share(sum(int(np.count_nonzero(each.ok)) for each in told), sum(len(each.ok) for each in told))
    if of_share(good, criterion.availability_min) is Verdict.HOLDS:
        return None
    return Part(Verdict.INCONCLUSIVE, f"{name}, on which it depends, was not well either: {words(good)} good")


def _check(criterion: SteadyState, name: str, trials: Sequence[Samples]) -> Part:
    unwell = not_well_before(name, trials, criterion.availability_min, criterion.latency_ms_max)
    told = [served(samples, name, criterion.phase, criterion.after_s) for samples in trials]
    good = Share(sum(int(np.count_nonzero(each.ok)) for each in told), sum(len(each.ok) for each in told))
    verdict = of_share(good, criterion.availability_min)
    measured = f"{name}: {words(good)} good"
    if criterion.latency_ms_max is not None and good.good:
        in_time = [each.ok & (each.latency_ms <= criterion.latency_ms_max) for each in told]
        quick = Share(sum(int(np.count_nonzero(each)) for each in in_time), good.good)
        verdict = combine((verdict, of_share(quick, QUICK_MIN)))
        measured += f", {words(quick)} of these within {criterion.latency_ms_max:g} ms"
    return Part(combine(()), unwell) if unwell else Part(verdict, measured)
