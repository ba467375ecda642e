"""Failure detection: what a service's own signals say while its users' checks fail."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from executor.measure.criteria import detected_within
from executor.measure.criteria.common import line
from executor.measure.detection import concerns
from executor.measure.samples import Samples
from executor.measure.validators.common import promised_s
from executor.model.criteria import DetectedWithin
from executor.model.evidence import Validation
from executor.model.plan import Experiment


def validate(experiment: Experiment, trials: Sequence[Samples]) -> Iterator[Validation]:
    """One result a signal, by the rules of ``detected_within``."""
    for signal in experiment.signals:
        concerned = [samples for samples in trials if concerns(signal, samples)]
        if trials and not concerned:
            continue
        wanted = DetectedWithin(signal=signal.id, within_s=promised_s(experiment, signal))
        said = detected_within.judge(wanted, experiment, concerned)
        yield Validation(
            validator="failure_detection",
            of=signal.id,
            verdict=said.verdict,
            measured=said.measured,
            expected=line(said.limit),
        )
