"""Health-check truthfulness: what a signal says of a service, held against whether it served at the same moments.

The outcome is a confusion matrix. A positive is "unwell": a *true* one was said while the service served nobody, a
*false* one is a false alarm; a false negative is "well" of a service that served nobody.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from executor.measure.columns import Flags, Floats
from executor.measure.criteria.common import ANSWERS_MIN, Part, combine, of_share
from executor.measure.impact import goodness
from executor.measure.intervals import Share
from executor.measure.rotation import told
from executor.measure.sampler import SIGNAL_HZ
from executor.measure.samples import Samples
from executor.measure.validators.common import validation
from executor.model.evidence import Validation
from executor.model.plan import Experiment
from executor.model.probe import Check, DetectionSignal
from executor.model.wording import percent

RATE_MIN = 0.9
"""Least share of right verdicts, of those while it served and of those while it did not."""


@dataclass(frozen=True)
class Matrix:
    """Verdicts by what was true when they were given."""

    true_positives: int = 0
    """Said unwell, and nobody was served."""
    false_positives: int = 0
    """Said unwell, and all were served."""
    true_negatives: int = 0
    """Said well, and all were served."""
    false_negatives: int = 0
    """Said well, and nobody was served."""
    open: int = 0
    """Verdicts around a change, or while part was served, and askings that nobody answered: they count for nothing."""

    @property
    def sensitivity(self) -> Share:
        """Of the moments at which nobody was served, those at which it said so."""
        return Share(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def specificity(self) -> Share:
        """Of the moments at which all were served, those at which it said so."""
        return Share(self.true_negatives, self.true_negatives + self.false_positives)

    @property
    def correlation(self) -> float | None:
        """Matthews's correlation coefficient, −1 to 1; ``None`` where one row or column is empty.

        Source: B. W. Matthews, Biochimica et Biophysica Acta 405 (1975).
        """
        tp, fp, tn, fn = self.true_positives, self.false_positives, self.true_negatives, self.false_negatives
        sides = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
        return (tp * tn - fp * fn) / math.sqrt(sides) if sides else None

    def __add__(self, other: Matrix) -> Matrix:
        return Matrix(*(mine + its for mine, its in zip(self._counts(), other._counts(), strict=True)))

    def _counts(self) -> tuple[int, ...]:
        return (self.true_positives, self.false_positives, self.true_negatives, self.false_negatives, self.open)


def validate(experiment: Experiment, trials: Sequence[Samples]) -> Iterator[Validation]:
    """One result a signal of a service that has checks of its own; what speaks of one instance alone is left out."""
    for signal in experiment.signals:
        own = [check for check in experiment.checks if check.service == signal.service]
        chosen = [check for check in own if check.critical] or own
        if signal.instance is None and chosen:
            seen = sum((matrix(signal, chosen, samples) for samples in trials), Matrix())
            expected = (
                f"{signal.id} says unwell at {percent(RATE_MIN)} of the moments at which no check of "
                f"{signal.service} is served, and well at {percent(RATE_MIN)} of those at which all are"
            )
            yield validation("health_truthfulness", signal.id, list(_parts(seen)), expected)


def matrix(signal: DetectionSignal, checks: Sequence[Check], samples: Samples) -> Matrix:
    """One trial's verdicts against its checks' answers around the same moment.

    A verdict counts if from one sampling interval before it was asked for until one after it had come (the signal's or
    the slowest check's, whichever is longer) every check was asked, and all answers were good, or none.
    """
    tolerance_s = 1 / min(SIGNAL_HZ, *(check.rate_hz for check in checks))
    asked = [_served(check, samples) for check in checks]
    found = Matrix()
    for verdict in samples.between(signal.id, samples.trial.baseline_start_s, samples.trial.end_s):
        given_s = verdict.answered_s
        truth = _truth(asked, verdict.at_s, given_s, tolerance_s) if told(verdict.error) else None
        found += _counted(verdict.ok, truth)
    return found


def _served(check: Check, samples: Samples) -> tuple[Floats, Flags]:
    series = samples.between(check.id, samples.trial.baseline_start_s, samples.trial.end_s)
    return series.at_s, goodness(check, samples, series)


def _truth(asked: Iterable[tuple[Floats, Flags]], at_s: float, given_s: float, tolerance_s: float) -> bool | None:
    """Whether all were served, or nobody was (false); ``None``: part was, or nobody asked.

    The askings before and after the verdict count even if they were a little more than an interval away.
    """
    answers: list[bool] = []
    for times, good in asked:
        before, after = int(np.searchsorted(times, at_s, side="right")) - 1, int(np.searchsorted(times, given_s))
        if before < 0 or after == len(times):
            return None
        if times[before] < at_s - 2 * tolerance_s or times[after] > given_s + 2 * tolerance_s:
            return None
        first, last = np.searchsorted(times, (at_s - tolerance_s, given_s + tolerance_s))
        answers += good[min(first, before) : max(last, after + 1)].tolist()
    if all(answers):
        return True
    return None if any(answers) else False


def _counted(well: bool, served: bool | None) -> Matrix:
    if served is None:
        return Matrix(open=1)
    if served:
        return Matrix(true_negatives=1) if well else Matrix(false_positives=1)
    return Matrix(false_negatives=1) if well else Matrix(true_positives=1)


def _parts(seen: Matrix) -> Iterator[Part]:
    counts = (
        f"{seen.true_positives} times rightly unwell, {seen.false_negatives} times well while nobody was served, "
        f"{seen.true_negatives} times rightly well, {seen.false_positives} false alarms, {seen.open} not counted"
    )
    if seen.correlation is not None:
        counts += f"; Matthews's correlation {seen.correlation:.2f}"
    right, quiet = of_share(seen.sensitivity, RATE_MIN), of_share(seen.specificity, RATE_MIN)
    if seen.sensitivity.n < ANSWERS_MIN:
        counts += "; too few moments at which nobody was served"
    elif seen.specificity.n < ANSWERS_MIN:
        counts += "; too few moments at which all were served"
    yield Part(combine((right, quiet)), counts)
