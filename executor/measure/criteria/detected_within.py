"""``detected_within``: the system's own signal reports the failure in time. Murphy's checks never count as that."""

from __future__ import annotations

from collections.abc import Sequence

from executor.measure.criteria.common import Part, not_well_before, result
from executor.measure.detection import detection
from executor.measure.impact import impact
from executor.measure.samples import Samples
from executor.model.criteria import DetectedWithin
from executor.model.evidence import CriterionResult
from executor.model.plan import Experiment
from executor.model.probe import Check
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
        return Part(Verdict.INCONCLUSIVE, f"{name} did not steadily say well before the fault")
    if seen.detected_s is not None and seen.detected_s - trial.injected_s <= criterion.within_s:
        return Part(Verdict.HOLDS, f"{name} reported it after {max(0.0, seen.detected_s - trial.injected_s):.2f} s")
    failed = failing(name, experiment, samples)
    if failed is None:
        return Part(Verdict.INCONCLUSIVE, f"{name} reported nothing in time, and no check failed that it should report")
    began_s, over_s = failed
    known_until_s = over_s if seen.detected_s is None else min(over_s, seen.detected_s)
    failed_for_s = known_until_s - began_s
    if seen.silent_s is not None:
        return Part(Verdict.INCONCLUSIVE, f"{name} fell silent: whoever asks it with a shorter time-out would notice")
    if failed_for_s <= criterion.within_s:
        return Part(Verdict.INCONCLUSIVE, f"{name} had only {failed_for_s:.2f} s of failure to report")
    said = samples.between(name, began_s, known_until_s)
    last_well_s = float(said.at_s[said.ok].max(initial=began_s))
    if last_well_s < began_s + criterion.within_s / 2:
        return Part(Verdict.INCONCLUSIVE, f"{name} was hardly asked while checks failed")
    return Part(Verdict.BREAKS, f"{name} still said well {last_well_s - began_s:.2f} s after checks began to fail")


LATE_MS = 2000.0
LATER = 2.0
"""An answer is as good as none to its user once it comes after so many milliseconds, and after so many times what was
promised. What is merely slower than promised is for whoever watches latencies: no health check is wrong to say well."""


def failing(signal: str, experiment: Experiment, samples: Samples) -> tuple[float, float] | None:
    """From when to when checks of a signal's own service failed under the fault, seconds since the run started.

    They fail where users get no good answer, or get it too late to use it.

    Of any service, where its own has none. Until Murphy's help, if one was not back before that; ``None``: none that
    had been well before the fault failed.
    """
    service = next(s.service for s in experiment.signals if s.id == signal)
    own = [check for check in experiment.checks if check.service == service]
    help_s = samples.trial.help_begins_s
    spans = []
    for check in own or experiment.checks:
        seen, slo = impact(_bearable(check), samples, help_s), check.slo
        unwell = not_well_before(check.id, [samples], slo.availability_min, slo.latency_ms_max)
        if seen.began_s is not None and not unwell:
            spans.append((seen.began_s, help_s if seen.back_s is None else seen.back_s))
    return (min(began_s for began_s, _ in spans), max(over_s for _, over_s in spans)) if spans else None


def _bearable(check: Check) -> Check:
    """The check, with no more promised of its latency than that its users can still use the answer."""
    promised = check.slo.latency_ms_max
    if promised is None:
        return check
    slo = {**check.slo.model_dump(), "latency_ms_max": max(LATE_MS, LATER * promised)}
    return Check.model_validate({**check.model_dump(), "slo": slo})
