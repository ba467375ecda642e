"""Failure detection: what a service's own signals say while its users' checks fail."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from executor.measure.criteria import detected_within
from executor.measure.criteria.common import Part
from executor.measure.detection import concerns
from executor.measure.samples import Samples
from executor.measure.validators.common import promised_s, validation
from executor.model.criteria import DetectedWithin
from executor.model.evidence import Validation
from executor.model.plan import Experiment, InstanceTarget
from executor.model.probe import DetectionSignal
from executor.model.vocabulary import Verdict


def validate(experiment: Experiment, trials: Sequence[Samples]) -> Iterator[Validation]:
    """One result a signal, by the rules of ``detected_within``, where it is known to have had something to report.

    That is where its service was struck itself or its own checks failed: what a signal says while its service may
    well have been serving everybody shows neither that it sees a failure nor that it does not.
    """
    for signal in experiment.signals:
        concerned = [samples for samples in trials if concerns(signal, samples)]
        if trials and not concerned:
            continue
        wanted = DetectedWithin(signal=signal.id, within_s=promised_s(experiment, signal))
        said = detected_within.judge(wanted, experiment, concerned)
        part = Part(said.verdict, said.measured)
        if part.verdict is not Verdict.INCONCLUSIVE and not _had_to(signal, experiment, concerned):
            part = Part(Verdict.INCONCLUSIVE, f"{part.measured}, but no check of {signal.service} was seen to fail")
        yield validation("failure_detection", signal.id, [part], said.limit)


def _had_to(signal: DetectionSignal, experiment: Experiment, trials: Sequence[Samples]) -> bool:
    """Whether there was something to report: its service was struck, or a check of its own failed."""
    if any(isinstance(a.target, InstanceTarget) and a.target.service == signal.service for a in experiment.actions):
        return True
    own = any(check.service == signal.service for check in experiment.checks)
    return own and any(detected_within.failing(signal.id, experiment, samples) for samples in trials)
