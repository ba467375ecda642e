"""``bounded_latency``: during the fault answers, good or bad, come within a limit."""

from __future__ import annotations

from collections.abc import Sequence

from executor.measure.criteria import common
from executor.measure.criteria.common import Part, not_well_before, of_share, result, words
from executor.measure.intervals import Share
from executor.measure.samples import Samples
from executor.model.criteria import BoundedLatency
from executor.model.evidence import CriterionResult, Observation
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
    told = [
        (within, o.latency_ms)
        for samples in trials
        for o in samples.within(name, Phase.FAULT)
        if (within := _within(o, criterion.limit_ms, samples.bounds(Phase.FAULT)[1])) is not None
    ]
    share = Share(sum(within for within, _ in told), len(told))
    measured = f"{name}: {words(share)} of answers within {criterion.limit_ms:g} ms"
    if told:
        measured += f", the longest wait {max(waited for _, waited in told):.0f} ms"
    return Part(of_share(share, WITHIN_MIN), measured)


def _within(o: Observation, limit_ms: float, fault_end_s: float) -> bool | None:
    """Whether an answer came in time; ``None`` if the fault, or our own patience, ended too early to tell.

    All answers that begin too near the end are left out, quick ones too: keeping only those would flatter.
    """
    if o.at_s + limit_ms / 1000 > fault_end_s:
        return None
    if o.latency_ms > limit_ms:
        return False
    cut_short = o.error.startswith(("unanswered", "overflow", "no answer within"))
    return None if cut_short else True
