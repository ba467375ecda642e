"""Graceful degradation: what by design can do without the struck service still works, and how well."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from executor.measure.criteria.common import Part
from executor.measure.criteria.served import served
from executor.measure.intervals import quantile
from executor.measure.samples import Samples
from executor.measure.validators.common import validation
from executor.measure.validators.felt import beyond, injected, kept, promised, soft, untried, what
from executor.model.evidence import Validation
from executor.model.plan import Experiment
from executor.model.probe import Check
from executor.model.vocabulary import Phase, Verdict


def validate(experiment: Experiment, trials: Sequence[Samples]) -> Iterator[Validation]:
    """One result a check that may feel the fault and whose ``needs`` do not hold what was struck.

    Measured are the share of good answers under the fault and the median latency of these, in ms, beside that of the
    baseline. Whether an answer is less than it was (a page without its recommendations) is for the check's own
    ``expect_text`` to tell. Where ``needs`` is not declared nobody can say what should still work: nothing is told.
    """
    told = injected(trials)
    for check in beyond(experiment) if told else ():
        if soft(check, experiment):
            part = kept(check, experiment, told)
            if part.verdict is Verdict.HOLDS and (why := untried(experiment, told)):
                part = Part(Verdict.INCONCLUSIVE, f"{part.measured}; {why}")
            expected = f"{promised(check)} without {what(experiment)}, which it does not need"
            yield validation(
                "graceful_degradation", check.id, [Part(part.verdict, part.measured + _quality(check, told))], expected
            )


def _quality(check: Check, trials: Sequence[Samples]) -> str:
    before, during = (_median_ms(check, phase, trials) for phase in (Phase.BASELINE, Phase.FAULT))
    if before is None or during is None:
        return ""
    return f"; half of them within {during:.0f} ms, before the fault {before:.0f} ms"


def _median_ms(check: Check, phase: Phase, trials: Sequence[Samples]) -> float | None:
    told = [served(samples, check.id, phase) for samples in trials]
    good = np.sort(np.concatenate([each.latency_ms[each.ok] for each in told]))
    return quantile(good, 0.5) if len(good) else None
