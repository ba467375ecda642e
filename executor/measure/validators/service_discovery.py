"""Service discovery: a dead instance leaves a registry's list or a balancer's rotation in time, and comes back later.

A signal with an ``instance`` says whether that one is listed; a check with ``answered_by`` whether it is given work.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from executor.measure.criteria.common import Part, combine, not_well_before
from executor.measure.detection import detection
from executor.measure.impact import BAD_MIN, impact
from executor.measure.rotation import absent, downed, gone, missing, telling, told
from executor.measure.samples import Samples
from executor.measure.validators.common import promised_s, taken_over_s, validation
from executor.model.evidence import Validation
from executor.model.plan import Experiment
from executor.model.probe import Check, DetectionSignal
from executor.model.vocabulary import Phase, Verdict

_CUT_S = 1.0
"""A recovery watched for so much less than its deadline was cut short."""


def validate(experiment: Experiment, trials: Sequence[Samples]) -> Iterator[Validation]:
    """One result a signal that speaks of one instance of a service taken down, and a check that names who answers."""
    services = downed(experiment)
    for signal in experiment.signals:
        if signal.instance is not None and signal.service in services:
            within_s = promised_s(experiment, signal)
            parts = [_listed(experiment, signal, within_s, samples) for samples in trials]
            expected = f"{signal.instance} is listed while it serves, and not from {within_s:g} s after its end on"
            yield validation("service_discovery", signal.id, parts, expected)
    for check in telling(experiment) if services else ():
        found = [part for samples in trials if (part := _in_rotation(experiment, check, samples)) is not None]
        if found:
            expected = "a dead instance is not given work for long, and is given it again after its restart"
            yield validation("service_discovery", check.id, found, expected)


def _listed(experiment: Experiment, signal: DetectionSignal, within_s: float, samples: Samples) -> Part:
    trial = samples.trial
    if trial.injected_s is None:
        return Part(Verdict.INCONCLUSIVE, "the fault was not injected")
    if not detection(signal.id, samples).well_before:
        return Part(Verdict.INCONCLUSIVE, f"{signal.instance} was not listed before the fault")
    if signal.instance not in trial.struck:
        return _bystander(signal, samples)
    left = _left(signal, within_s, samples)
    back = _back(experiment, signal, samples)
    verdicts = [part.verdict for part in (left, back) if part is not None]
    return Part(combine(verdicts), "; ".join(part.measured for part in (left, back) if part is not None))


def _bystander(signal: DetectionSignal, samples: Samples) -> Part:
    """One that nothing struck stays listed."""
    said = [o for o in samples.within(signal.id, Phase.FAULT) if told(o.error)]
    off = [o for o in said if not o.ok]
    if len(off) >= BAD_MIN:
        return Part(Verdict.BREAKS, f"{signal.instance}, which nothing struck, was not listed {len(off)} times")
    if len(said) < BAD_MIN:
        return Part(Verdict.INCONCLUSIVE, f"whether {signal.instance} is listed was hardly told under the fault")
    return Part(Verdict.HOLDS, f"{signal.instance}, which nothing struck, stayed listed")


def _left(signal: DetectionSignal, within_s: float, samples: Samples) -> Part:
    trial, seen = samples.trial, detection(signal.id, samples)
    assert trial.injected_s is not None  # seen to by the caller
    if seen.detected_s is not None:
        took_s = max(0.0, seen.detected_s - trial.injected_s)
        verdict = Verdict.HOLDS if took_s <= within_s else Verdict.BREAKS
        return Part(verdict, f"{signal.instance} was not listed any more {took_s:.2f} s after its end")
    if seen.last_well_s is None or seen.last_well_s < trial.injected_s:
        return Part(Verdict.INCONCLUSIVE, f"whether {signal.instance} is listed was not told under the fault")
    still_s = seen.last_well_s - trial.injected_s
    verdict = Verdict.BREAKS if still_s > within_s else Verdict.INCONCLUSIVE
    return Part(verdict, f"{signal.instance} was still listed {still_s:.2f} s after its end")


def _back(experiment: Experiment, signal: DetectionSignal, samples: Samples) -> Part | None:
    """Whether it was listed again, once it had left; ``None`` if it had not."""
    trial = samples.trial
    assert trial.injected_s is not None  # seen to by the caller
    said = [o for o in samples.between(signal.id, trial.injected_s, trial.end_s) if told(o.error)]
    off = [place for place, o in enumerate(said) if not o.ok]
    if not off:
        return None
    later = said[off[-1] + 1 :]
    if not later:
        return _never(experiment, samples, f"{signal.instance} was not listed again")
    at_s = later[0].answered_s
    if at_s < trial.help_begins_s:
        words = f"and was again {at_s - trial.injected_s:.2f} s after its end, before anybody helped"
    else:
        words = f"and was again {at_s - trial.help_begins_s:.2f} s after its restart began"
    return Part(Verdict.HOLDS, words)


def _in_rotation(experiment: Experiment, check: Check, samples: Samples) -> Part | None:
    """Whether those who gave no answers under the fault do so again; ``None`` where that was nobody of several."""
    trial, left = samples.trial, gone(check, samples)
    if trial.injected_s is None or trial.reverted_s is None or not left:
        return None
    if unwell := not_well_before(check.id, [samples], check.slo.availability_min, check.slo.latency_ms_max):
        return Part(Verdict.INCONCLUSIVE, unwell)
    verdict, words = _work_given(experiment, check, left, samples)
    since = samples.within(check.id, Phase.RECOVERY)
    if lost := missing(check, samples):
        never = _never(experiment, samples, f"{' and '.join(lost)} gave no answer again")
        sure = set(lost) & set(absent(samples.within(check.id, Phase.BASELINE), since))
        back = never.verdict if sure else Verdict.INCONCLUSIVE
        return Part(combine((verdict, back)), f"{words}; {never.measured}")
    last_s = max(o.answered_s for name in left for o in since.given_by(name)[:1]) - trial.help_begins_s
    return Part(verdict, f"{words}; {' and '.join(left)} answered again {last_s:.2f} s after the restart began")


def _work_given(experiment: Experiment, check: Check, left: Sequence[str], samples: Samples) -> tuple[Verdict, str]:
    """Whether users were soon led to the others alone: where these answered, what failed was led to the dead."""
    trial, asked = samples.trial, samples.within(check.id, Phase.FAULT)
    seen = impact(check, samples, trial.help_begins_s)
    assert trial.injected_s is not None  # seen to by the caller
    words = f"{len(asked) - int(asked.ok.sum())} of {len(asked)} answers failed without {' and '.join(left)}"
    if not asked.by:
        return Verdict.INCONCLUSIVE, f"{words}, and nobody answered"
    if seen.began_s is None:
        return Verdict.HOLDS, words
    within_s = taken_over_s(experiment, check)
    if seen.back_s is not None:
        took_s = seen.back_s - trial.injected_s
        return (
            Verdict.HOLDS if took_s <= within_s else Verdict.BREAKS
        ), f"{words}, steadily well from {took_s:.2f} s on"
    late = trial.help_begins_s - trial.injected_s > within_s
    return (Verdict.BREAKS if late else Verdict.INCONCLUSIVE), f"{words}, {' and '.join(asked.by)} answering the others"


def _never(experiment: Experiment, samples: Samples, words: str) -> Part:
    trial = samples.trial
    watched_s = trial.end_s - (trial.end_s if trial.reverted_s is None else trial.reverted_s)
    whole = watched_s >= experiment.recovery_deadline_s - _CUT_S
    verdict = Verdict.BREAKS if whole and watched_s > _CUT_S else Verdict.INCONCLUSIVE
    return Part(verdict, f"{words} in the {watched_s:.2f} s after its restart")
