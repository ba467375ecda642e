"""``calls_within``: the caller does not multiply its calls under fault, or cuts them down."""

from __future__ import annotations

from collections.abc import Sequence

from executor.measure.calls import amplification
from executor.measure.criteria.common import Part, result
from executor.measure.samples import Samples
from executor.model.criteria import CallsWithin
from executor.model.evidence import CriterionResult
from executor.model.plan import Experiment
from executor.model.vocabulary import Verdict


def judge(criterion: CallsWithin, _experiment: Experiment, trials: Sequence[Samples]) -> CriterionResult:
    """Calls of all trials count together."""
    limit = f"at most {criterion.factor_max:g} × the calls of the baseline, per second"
    return result(criterion.kind, [_edge(criterion, trials)], limit)


def _edge(criterion: CallsWithin, trials: Sequence[Samples]) -> Part:
    place = f"{criterion.caller}->{criterion.callee}"
    seen = amplification(trials, criterion.caller, criterion.callee)
    if seen is None:
        return Part(Verdict.INCONCLUSIVE, f"too few calls counted on {place} to compare")
    ratio, n = seen
    measured = f"{place}: {ratio.value:.2f} × the baseline's calls (95 % interval {ratio.low:.2f}–{ratio.high:.2f}"
    measured += f", {n} calls)"
    if ratio.low > criterion.factor_max:
        return Part(Verdict.BREAKS, measured)
    return Part(Verdict.HOLDS if ratio.value <= criterion.factor_max else Verdict.INCONCLUSIVE, measured)
