"""The measured numbers of one experiment, each with its sample size and uncertainty."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from executor.measure.calls import amplification
from executor.measure.containment import spread
from executor.measure.counters import edge_of
from executor.measure.criteria.served import served
from executor.measure.impact import goodness
from executor.measure.intervals import Share, quantile, quantile_interval
from executor.measure.samples import Samples
from executor.measure.times import times
from executor.model.evidence import Figure
from executor.model.plan import Experiment
from executor.model.probe import Check
from executor.model.vocabulary import Phase


def figures(experiment: Experiment, trials: Sequence[Samples]) -> tuple[Figure, ...]:
    """All figures that the records support; what they do not support is left out, not guessed."""
    found: list[Figure] = []
    for check in experiment.checks:
        for phase in Phase:
            found += _served(check, phase, trials)
        found += _residual(check, trials)
    found += times(experiment, trials)
    found += _amplification(trials)
    found += _containment(experiment, trials)
    return tuple(found)


def _served(check: Check, phase: Phase, trials: Sequence[Samples]) -> Iterator[Figure]:
    told = [served(samples, check.id, phase) for samples in trials]
    n = sum(len(each.ok) for each in told)
    if not n:
        return
    latencies = np.sort(np.concatenate([each.latency_ms[each.ok] for each in told]))
    yield _share("availability", check.id, phase, Share(len(latencies), n))
    for name, q in (("latency_p50", 0.5), ("latency_p95", 0.95)):
        if len(latencies):
            low, high = quantile_interval(latencies, q)
            value = quantile(latencies, q)
            yield Figure(
                name=name, of=check.id, phase=phase, value=value, unit="ms", low=low, high=high, n=len(latencies)
            )


def _residual(check: Check, trials: Sequence[Samples]) -> Iterator[Figure]:
    bad = total = 0
    for samples in trials:
        good = goodness(check, samples, samples.within(check.id, Phase.RECOVERY))
        bad, total = bad + int(np.count_nonzero(~good)), total + len(good)
    if total:
        yield _share("residual", check.id, Phase.RECOVERY, Share(bad, total))


def _share(name: str, of: str, phase: Phase, share: Share) -> Figure:
    return Figure(
        name=name, of=of, phase=phase, value=share.value, unit="ratio", low=share.low, high=share.high, n=share.n
    )


def _amplification(trials: Sequence[Samples]) -> Iterator[Figure]:
    sources = {source for samples in trials for source in samples.sources}
    for caller, callee in sorted(edge for source in sources if (edge := edge_of(source)) is not None):
        seen = amplification(trials, caller, callee)
        if seen is not None:
            ratio, n = seen
            high = ratio.high if math.isfinite(ratio.high) else None
            yield Figure(
                name="amplification",
                of=f"{caller}->{callee}",
                phase=Phase.FAULT,
                value=ratio.value,
                unit="ratio",
                low=ratio.low,
                high=high,
                n=n,
            )


def _containment(experiment: Experiment, trials: Sequence[Samples]) -> Iterator[Figure]:
    seen = spread(experiment, trials)
    if seen.told:
        well = Share(len(seen.spared), len(seen.told))
        yield Figure(
            name="containment",
            of=experiment.id,
            value=well.value,
            unit="ratio",
            low=well.low,
            high=well.high,
            n=well.n,
        )
