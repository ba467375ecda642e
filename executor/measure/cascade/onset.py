"""When each service of an experiment left its steady state in one trial, and how surely that is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from executor.measure.impact import goodness, impact
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

    def after(self, other: Onset) -> Span:
        """How much later than the other, seconds: negative if it came before it."""
        return Span(self.at_s - other.at_s, self.low_s - other.at_s, self.at_s - other.low_s)


def struck_onset(samples: Samples) -> Onset:
    """Of what is struck: the injection. Only for trials in which there was one."""
    assert samples.trial.injected_s is not None
    return Onset(samples.trial.injected_s, samples.trial.fault_begins_s)


def onsets(experiment: Experiment, samples: Samples) -> dict[str, Onset]:
    """Of each service with a check that was hurt (``executor/measure/impact.py``): that of the first of its checks."""
    found: dict[str, Onset] = {}
    for check in experiment.checks:
        seen = _onset(check, samples)
        if seen is not None:
            held = found.get(check.service, seen)
            found[check.service] = Onset(min(held.at_s, seen.at_s), min(held.low_s, seen.low_s))
    return found


def watched(experiment: Experiment) -> frozenset[str]:
    """The services that have a check in the experiment: of others nobody can tell whether they were hurt."""
    return frozenset(check.service for check in experiment.checks)


def _onset(check: Check, samples: Samples) -> Onset | None:
    began_s = impact(check, samples).began_s
    if began_s is None:
        return None
    before = samples.between(check.id, samples.trial.baseline_start_s, began_s)
    well_s = before.at_s[goodness(check, samples, before)]
    begins_s = samples.trial.fault_begins_s
    return Onset(began_s, float(np.max(well_s, initial=begins_s)))
