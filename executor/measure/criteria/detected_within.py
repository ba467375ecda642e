"""``detected_within``: the system's own signal reports the failure in time. Murphy's checks never count as that."""

from __future__ import annotations

from collections.abc import Sequence

from executor.measure.criteria.common import Part, result
from executor.measure.detection import detection
from executor.measure.impact import impact
from executor.measure.samples import Samples
from executor.model.criteria import DetectedWithin
from executor.model.evidence import CriterionResult
from executor.model.plan import Experiment
from executor.model.vocabulary import Verdict


def judge(criterion: DetectedWithin, experiment: Experiment, trials: Sequence[Samples]) -> CriterionResult:
    """The signal must report it in every trial."""
    parts = [_trial(criterion, experiment, samples) for samples in trials]
    return result(criterion.kind, parts, f"signal {criterion.signal} reports it within {criterion.within_s:g} s")


def _trial(criterion: DetectedWithin, experiment: Experiment, samples: Samples) -> Part:
    trial, name = samples.trial, criterion.signal
    if trial.injected_s is None:
        return Part(Verdict.INCONCLUSIVE, "the fault was not injected")
    seen = detection(name, samples)
    if not seen.well_before:
        return Part(Verdict.INCONCLUSIVE, f"{name} did not say well before the fault")
    if seen.detected_s is not None and seen.detected_s - trial.injected_s <= criterion.within_s:
        return Part(Verdict.HOLDS, f"{name} reported it after {max(0.0, seen.detected_s - trial.injected_s):.2f} s")
    began_s = _impact_began_s(criterion, experiment, samples)
    if began_s is None:
        return Part(Verdict.INCONCLUSIVE, f"{name} reported nothing in time, and no check failed that it should report")
    known_until_s = trial.help_begins_s if seen.detected_s is None else seen.detected_s
    failed_for_s = known_until_s - began_s
    if seen.silent_s is not None:
        return Part(Verdict.INCONCLUSIVE, f"{name} fell silent: whoever asks it with a shorter time-out would notice")
    if failed_for_s <= criterion.within_s:
        return Part(Verdict.INCONCLUSIVE, f"{name} had only {failed_for_s:.2f} s of failure to report")
    if seen.last_well_s is None or seen.last_well_s < began_s + criterion.within_s / 2:
        return Part(Verdict.INCONCLUSIVE, f"{name} was hardly asked while checks failed")
    return Part(Verdict.BREAKS, f"{name} still said well {seen.last_well_s - began_s:.2f} s after checks began to fail")


def _impact_began_s(criterion: DetectedWithin, experiment: Experiment, samples: Samples) -> float | None:
    """When a check of the signal's own service began to fail; of any service, where its own has none."""
    service = next(s.service for s in experiment.signals if s.id == criterion.signal)
    own = [check for check in experiment.checks if check.service == service]
    began = [impact(check, samples).began_s for check in own or experiment.checks]
    return min((at_s for at_s in began if at_s is not None and at_s < samples.trial.help_begins_s), default=None)
