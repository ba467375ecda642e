"""When each service of an experiment left its steady state in one trial, and how surely that is known."""

from __future__ import annotations

from dataclasses import dataclass

from executor.measure.containment import hurt, unwell
from executor.measure.samples import Samples
from executor.measure.spans import Span
from executor.model.plan import Experiment
from executor.model.probe import Check


@dataclass(frozen=True)
class Onset:
    """A moment that sampling pins down to between ``low_s`` and ``at_s``; seconds since the run started."""

    at_s: float
    """Intended start of the first answer that was bad; of what is struck, when the fault was there for sure."""
    low_s: float
    """Intended start of the last answer before it that was good; never before the fault."""
    lost_by_s: float
    """When the answers had come that show it: a slow one may have met the failure long after its intended start, and
    the first bad one may have been a blip before it."""

    def before(self, other: Onset) -> bool:
        """Whether it surely came before the other."""
        return self.lost_by_s < other.low_s

    def after(self, other: Onset) -> Span:
        """How much later than the other, seconds: negative if it came before it."""
        return Span(self.at_s - other.at_s, self.low_s - other.at_s, self.at_s - other.low_s)


def struck_onset(samples: Samples) -> Onset:
    """Of what is struck: the injection. Only for trials in which there was one."""
    assert samples.trial.injected_s is not None
    return Onset(samples.trial.injected_s, samples.trial.fault_begins_s, samples.trial.injected_s)


def onsets(experiment: Experiment, samples: Samples) -> dict[str, Onset]:
    """Of each service with a check that was hurt (``executor/measure/containment.py``): that of the first of them."""
    found: dict[str, Onset] = {}
    for check in experiment.checks:
        seen = _onset(check, samples)
        if seen is not None:
            held = found.get(check.service, seen)
            found[check.service] = Onset(
                min(held.at_s, seen.at_s), min(held.low_s, seen.low_s), min(held.lost_by_s, seen.lost_by_s)
            )
    return found


def untold(experiment: Experiment, samples: Samples) -> frozenset[str]:
    """Services of which one trial does not tell whether its fault hurt them: none of their checks was well before."""
    well = {check.service for check in experiment.checks if not unwell(check, samples)}
    return watched(experiment) - well


def watched(experiment: Experiment) -> frozenset[str]:
    """The services that have a check in the experiment: of others nobody can tell whether they were hurt."""
    return frozenset(check.service for check in experiment.checks)


def _onset(check: Check, samples: Samples) -> Onset | None:
    seen = hurt(check, samples)
    if seen is None or seen.began_s is None or seen.lost_by_s is None:
        return None
    begins_s = samples.trial.fault_begins_s
    return Onset(seen.began_s, begins_s if seen.well_s is None else seen.well_s, seen.lost_by_s)
