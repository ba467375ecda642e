"""Full recovery: once the fault is gone, all of a service that it hurt is as it was before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from executor.measure.containment import struck
from executor.measure.criteria.common import Part, not_well_before
from executor.measure.detection import detection
from executor.measure.impact import impact
from executor.measure.samples import Samples
from executor.measure.settled import check_left, signal_left
from executor.measure.validators.common import validation
from executor.measure.validators.felt import feels, injected, unless_disturbed, watched
from executor.model.evidence import Validation
from executor.model.plan import Experiment
from executor.model.vocabulary import Phase, Verdict
from executor.model.wording import many


def validate(experiment: Experiment, trials: Sequence[Samples]) -> Iterator[Validation]:
    """One result a service that may feel the fault and of which a check lost its steady state or a signal said unwell.

    All its checks must be in steady state for good and answer as fast as before (what had piled up is worked off), and
    all its signals say well. It breaks only where the whole time allowed (``recovery_deadline_s``, in seconds) was
    watched; what is held by processes (memory, descriptors) is not recorded, so a leak is not seen.
    """
    told = injected(trials)
    felt = {check.service for check in experiment.checks if feels(check, experiment)} | struck(experiment)
    services = sorted(felt & ({c.service for c in experiment.checks} | {s.service for s in experiment.signals}))
    expected = f"within {experiment.recovery_deadline_s:g} s after the fault all checks and signals as before it"
    for service in services if told else ():
        hurt = [samples for samples in told if _hurt(service, experiment, samples)]
        if hurt:
            parts = [
                unless_disturbed(_trial(service, experiment, samples), experiment, [samples], Phase.RECOVERY)
                for samples in hurt
            ]
            yield validation("full_recovery", service, parts, expected)


def _hurt(service: str, experiment: Experiment, samples: Samples) -> bool:
    signals = [detection(s.id, samples) for s in experiment.signals if s.service == service]
    checks = [impact(c, samples) for c in experiment.checks if c.service == service]
    return any(s.well_before and s.detected_s is not None for s in signals) or any(
        c.began_s is not None for c in checks
    )


def _trial(service: str, experiment: Experiment, samples: Samples) -> Part:
    trial = samples.trial
    checks = [check for check in experiment.checks if check.service == service]
    signals = [signal for signal in experiment.signals if signal.service == service]
    for check in checks:
        slo = check.slo
        if unwell := not_well_before(check.id, [samples], slo.availability_min, slo.latency_ms_max):
            return Part(Verdict.INCONCLUSIVE, unwell)
    if trial.reverted_s is None:
        return Part(Verdict.INCONCLUSIVE, "the fault was not seen to be gone")
    watched_s = trial.end_s - trial.reverted_s
    left = [words for check in checks if (words := check_left(check, samples))]
    left += [words for signal in signals if (words := signal_left(signal, samples))]
    if left:
        whole = watched(experiment, samples)
        return Part(
            Verdict.BREAKS if whole else Verdict.INCONCLUSIVE,
            f"{watched_s:.1f} s after the fault: {'; '.join(left)}" + ("" if whole else " (not watched to the end)"),
        )
    answers = sum(len(samples.within(check.id, Phase.RECOVERY)) for check in checks)
    all_of_it = " and ".join(many(len(of), what) for of, what in ((checks, "check"), (signals, "signal")) if of)
    words = f"{all_of_it} as before after {watched_s:.1f} s ({many(answers, 'answer')})"
    names = [check.id for check in checks] + [signal.id for signal in signals]
    asked = all(len(samples.within(name, Phase.RECOVERY)) for name in names)
    return Part(Verdict.HOLDS if asked else Verdict.INCONCLUSIVE, words)
