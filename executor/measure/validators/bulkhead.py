"""Bulkhead: a caller's endpoints that have nothing to do with what was struck keep their promise.

Source: M. Nygard, "Release It!", 2nd edition (2018), chapter 5, "Bulkheads".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from executor.measure.containment import reaches, struck
from executor.measure.criteria.common import ANSWERS_MIN, Part
from executor.measure.samples import Samples
from executor.measure.settled import SLOW_MS, SLOWER
from executor.measure.validators.common import validation
from executor.measure.validators.felt import callers, injected, kept, promised, services, soft
from executor.model.evidence import Validation
from executor.model.plan import Experiment
from executor.model.probe import Check
from executor.model.vocabulary import Phase, Verdict


def validate(experiment: Experiment, trials: Sequence[Samples]) -> Iterator[Validation]:
    """One result a check that goes through a caller of what was struck and was seen (``exercises``) not to call it.

    Measured is its share of good answers while the fault was there. It decides nothing unless another endpoint of the
    same caller was asked meanwhile that does call what was struck, nor holds unless that one failed or was slower than
    before: else nothing leant against the wall.
    """
    told = injected(trials)
    for check in experiment.checks if told else ():
        related = _related(check, experiment)
        apart = check.exercises is not None and not reaches(check, experiment) and soft(check, experiment) is not False
        if not (apart and related):
            continue
        part = kept(check, experiment, told)
        leant = max(_asked(each, told) for each in related)
        if leant < ANSWERS_MIN:
            part = Part(Verdict.INCONCLUSIVE, f"only {leant} askings meanwhile called what was struck; {part.measured}")
        elif part.verdict is Verdict.HOLDS and not any(_felt(each, told) for each in related):
            words = f"{part.measured}; but {_names(related)} hardly felt the fault, so nothing leant against the wall"
            part = Part(Verdict.INCONCLUSIVE, words)
        yield validation("bulkhead", check.id, [part], f"{promised(check)}, whatever becomes of {_names(related)}")


def _related(check: Check, experiment: Experiment) -> list[Check]:
    """Checks that call what was struck from a service through which this one goes, too, itself not struck."""
    through = services(check) - struck(experiment)
    return [c for c in experiment.checks if through & callers(c, experiment)]


def _asked(check: Check, trials: Sequence[Samples]) -> int:
    return sum(int(np.size(samples.within(check.id, Phase.FAULT).at_s)) for samples in trials)


def _felt(check: Check, trials: Sequence[Samples]) -> bool:
    """Whether half of its answers under the fault were bad, or clearly slower than any before it."""
    felt = asked = 0
    for samples in trials:
        before, during = (samples.within(check.id, phase) for phase in (Phase.BASELINE, Phase.FAULT))
        slow_ms = max(SLOW_MS, SLOWER * float(before.latency_ms[before.ok].max(initial=0.0)))
        felt += int(np.count_nonzero(~during.ok | (during.latency_ms > slow_ms)))
        asked += len(during)
    return felt >= ANSWERS_MIN and 2 * felt >= asked


def _names(checks: Sequence[Check]) -> str:
    return ", ".join(check.id for check in checks)
