"""The moments that nobody reports live: impact, detected, mitigated, recovered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from executor.measure.detection import detection
from executor.measure.impact import Impact, impact
from executor.measure.samples import Samples
from executor.model.evidence import Event, EventKind
from executor.model.plan import Experiment
from executor.model.vocabulary import Phase


def moments(experiment: Experiment, trials: Sequence[Samples], started: datetime) -> tuple[Event, ...]:
    """Derived events of all trials, in order of time."""
    events = [
        Event(
            kind=kind,
            at_s=at_s,
            wall=started + timedelta(seconds=at_s),
            experiment=experiment.id,
            trial=samples.trial.trial,
            phase=phase_at(samples, at_s),
            detail=detail,
        )
        for samples in trials
        for kind, at_s, detail in _trial(experiment, samples)
    ]
    return tuple(sorted(events, key=lambda event: (event.at_s, event.kind, event.trial)))


def phase_at(samples: Samples, at_s: float) -> Phase:
    """The phase a moment falls into; the spans of injecting and reverting belong to the phase they lead to."""
    if at_s < samples.trial.fault_begins_s:
        return Phase.BASELINE
    return Phase.FAULT if at_s < samples.trial.help_begins_s else Phase.RECOVERY


def _trial(experiment: Experiment, samples: Samples) -> Iterator[tuple[EventKind, float, str]]:
    if samples.trial.injected_s is None:
        return
    hurt = [seen for check in experiment.checks if (seen := impact(check, samples)).began_s is not None]
    for seen in hurt:
        assert seen.began_s is not None  # just chosen by it
        yield EventKind.IMPACT, seen.began_s, f"{seen.check.id} left steady state"
    for signal in experiment.signals:
        noticed = detection(signal.id, samples)
        if noticed.well_before and noticed.detected_s is not None:
            yield EventKind.DETECTED, noticed.detected_s, f"{signal.id} reported {signal.service}"
    well_s = all_recovered_s(hurt)
    if well_s is not None:
        if all(seen.settled_s is not None and seen.settled_s < samples.trial.help_begins_s for seen in hurt):
            yield EventKind.MITIGATED, well_s, "every check well again while the fault was still there"
        yield EventKind.RECOVERED, well_s, "every check in steady state again"


def all_recovered_s(hurt: Sequence[Impact]) -> float | None:
    """When the last of the hurt checks recovered; ``None`` if one did not, or none was hurt."""
    times = [seen.recovered_s for seen in hurt]
    known = [at_s for at_s in times if at_s is not None]
    return max(known) if known and len(known) == len(times) else None
