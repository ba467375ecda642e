"""``bounded_latency``: during the fault answers, good or bad, come within a limit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from executor.measure.columns import Series
from executor.measure.criteria import common
from executor.measure.criteria.common import Part, not_well_before, of_share, result, words
from executor.measure.detection import CUT_SHORT
from executor.measure.intervals import Share
from executor.measure.samples import Samples
from executor.model.criteria import BoundedLatency
from executor.model.evidence import CriterionResult
from executor.model.plan import Experiment
from executor.model.vocabulary import Phase, Verdict

WITHIN_MIN = 0.9


def judge(criterion: BoundedLatency, experiment: Experiment, trials: Sequence[Samples]) -> CriterionResult:
    """Every check must keep within the limit; answers of all trials count together."""
    parts = [_check(criterion, experiment, name, trials) for name in criterion.checks]
    limit = f"at least {WITHIN_MIN:.0%} of answers, good or bad, within {criterion.limit_ms:g} ms during the fault"
    return result(criterion.kind, parts, limit)


def _check(criterion: BoundedLatency, experiment: Experiment, name: str, trials: Sequence[Samples]) -> Part:
    promised = common.check(experiment, name).slo.availability_min
    unwell = not_well_before(name, trials, promised, criterion.limit_ms)
    if unwell:
        return Part(Verdict.INCONCLUSIVE, unwell)
    told = [_told(samples, name, criterion.limit_ms) for samples in trials]
    within = sum(int(np.count_nonzero(each.latency_ms <= criterion.limit_ms)) for each in told)
    share = Share(within, sum(map(len, told)))
    measured = f"{name}: {words(share)} of answers within {criterion.limit_ms:g} ms"
    if share.n:
        measured += f", the longest wait {max(each.latency_ms.max(initial=0.0) for each in told):.0f} ms"
    return Part(of_share(share, WITHIN_MIN), measured)


def _told(samples: Samples, name: str, limit_ms: float) -> Series:
    """Answers that came in time or too late, without those where the fault, or our own patience, ended too early.

    All that begin too near the fault's end are left out, quick ones too: keeping only those would flatter.
    """
    series = samples.within(name, Phase.FAULT)
    watched = series.at_s + limit_ms / 1000 <= samples.bounds(Phase.FAULT)[1]
    return series.where(watched & ((series.latency_ms > limit_ms) | ~series.fails_with(CUT_SHORT)))
