"""``beyond_capacity``: most is still served when more comes than can be carried, and all again once that is over."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from executor.measure.capacity.capacities import capacities
from executor.measure.criteria.common import Part, result
from executor.measure.samples import Samples
from executor.model.capacity import Capacity
from executor.model.criteria import BeyondCapacity
from executor.model.evidence import CriterionResult
from executor.model.plan import Experiment
from executor.model.vocabulary import Verdict
from executor.model.wording import number, percent

KEPT_MIN = 0.8
"""Of the most that it ever serves in time, it must still serve so much far beyond its largest rate."""


def judge(criterion: BeyondCapacity, experiment: Experiment, trials: Sequence[Samples]) -> CriterionResult:
    """Every instance that was searched, in every trial."""
    found = [each for each in capacities(experiment, trials) if each.action == criterion.action]
    parts = [part for each in found for part in _instance(each, criterion.at_least_rps)]
    promised = f"{number(criterion.at_least_rps)} requests a second are carried, " if criterion.at_least_rps else ""
    kept = f"{percent(KEPT_MIN)} of it are still served far beyond the largest rate"
    limit = f"{promised}{kept}, and all of it again after an overload"
    return result(criterion.kind, parts, limit)


def _instance(seen: Capacity, at_least_rps: float | None) -> Iterator[Part]:
    name = seen.instance
    if at_least_rps is not None:
        yield _carries(seen, at_least_rps)
    yield _keeps(seen)
    verdicts = {"recovers": Verdict.HOLDS, "metastable": Verdict.BREAKS, "inconclusive": Verdict.INCONCLUSIVE}
    yield Part(verdicts[seen.after], f"{name} after an overload: {seen.after_why}")


def _keeps(seen: Capacity) -> Part:
    if seen.beyond is None or seen.beyond_rps is None:
        return Part(Verdict.INCONCLUSIVE, f"{seen.instance}: nothing far beyond its largest rate was tried")
    share = f"{percent(seen.beyond.value)}, 95 % interval {seen.beyond.low * 100:.0f}–{percent(seen.beyond.high)}"
    words = f"{seen.instance}: at {seen.beyond_rps:.0f} requests a second it serves {share} of its most"
    if seen.beyond.high < KEPT_MIN:
        return Part(Verdict.BREAKS, words)
    return Part(Verdict.HOLDS if seen.beyond.low >= KEPT_MIN else Verdict.INCONCLUSIVE, words)


def _carries(seen: Capacity, at_least_rps: float) -> Part:
    if seen.low_rps is not None and seen.low_rps >= at_least_rps:
        return Part(Verdict.HOLDS, f"{seen.instance} carries {number(seen.low_rps)} requests a second")
    if seen.high_rps is not None and seen.high_rps <= at_least_rps:
        return Part(Verdict.BREAKS, f"{seen.instance} does not carry {number(seen.high_rps)} requests a second")
    return Part(Verdict.INCONCLUSIVE, f"{seen.instance}: {at_least_rps:g} requests a second could not be told")
