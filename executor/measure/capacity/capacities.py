"""The capacities that one experiment has measured, and the figures of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from executor.measure.capacity.analysis import capacity
from executor.measure.samples import Samples
from executor.model.capacity import Capacity, Estimated
from executor.model.evidence import Figure
from executor.model.faults.service import Overload
from executor.model.plan import Experiment


def capacities(experiment: Experiment, trials: Sequence[Samples]) -> tuple[Capacity, ...]:
    """One for each search of each trial."""
    faults = {action.id: action.fault for action in experiment.actions}
    found = []
    for samples in trials:
        for (action, instance), steps in sorted(samples.searches.items()):
            fault = faults.get(action)
            if isinstance(fault, Overload) and fault.search:
                if (action, instance) not in samples.carried:
                    samples.carried[action, instance] = capacity(action, instance, fault, steps)
                found.append(samples.carried[action, instance])
    return tuple(found)


def figures(found: Sequence[Capacity]) -> Iterator[Figure]:
    """The numbers that trends are drawn of. A maximum is given as the middle of what it lies between."""
    for each in found:
        n = sum(level.n for level in each.levels)
        if each.maximum == "found" and each.low_rps is not None and each.high_rps is not None:
            middle = (each.low_rps * each.high_rps) ** 0.5
            yield _figure("capacity", each, Estimated(value=middle, low=each.low_rps, high=each.high_rps), "per_s", n)
        if each.knee is not None:
            yield _figure("capacity_knee", each, each.knee, "per_s", n)
        if each.contention is not None:
            yield _figure("contention", each, each.contention, "ratio", n)
        if each.recovery_s is not None:
            yield _figure("overload_recovery", each, each.recovery_s, "s", n)


def _figure(name: str, of: Capacity, value: Estimated, unit: Literal["per_s", "ratio", "s"], n: int) -> Figure:
    return Figure(name=name, of=of.instance, value=value.value, unit=unit, low=value.low, high=value.high, n=max(1, n))
