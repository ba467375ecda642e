"""Failure detection: what a service's own signals say while its users' checks fail."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from executor.measure.criteria import detected_within
from executor.measure.criteria.common import line
from executor.measure.samples import Samples
from executor.model.criteria import DetectedWithin
from executor.model.evidence import Validation
from executor.model.plan import Experiment

WITHIN_S = 10.0
"""In time, where no hypothesis says a time (the default of the resilience score, too)."""


def validate(experiment: Experiment, trials: Sequence[Samples]) -> Iterator[Validation]:
    """One result a signal, by the rules of ``detected_within``."""
    for signal in experiment.signals:
        promised = [
            criterion.within_s
            for hypothesis in experiment.hypotheses
            for criterion in hypothesis.criteria
            if isinstance(criterion, DetectedWithin) and criterion.signal == signal.id
        ]
        wanted = DetectedWithin(signal=signal.id, within_s=min(promised, default=WITHIN_S))
        said = detected_within.judge(wanted, experiment, trials)
        yield Validation(
            validator="failure_detection",
            of=signal.id,
            verdict=said.verdict,
            measured=said.measured,
            expected=line(said.limit),
        )
