"""How much of a service users kept, from the fault until the end of the time allowed for recovery."""

from __future__ import annotations

import numpy as np

from executor.measure.impact import Impact, goodness
from executor.measure.samples import Samples
from executor.measure.spans import Span
from executor.model.plan import Experiment


def effectiveness(experiment: Experiment, seen: Impact, samples: Samples) -> Span | None:
    """∫ Q(t) dt ÷ T over the control time T = length of the fault phase + recovery deadline, from the injection on.

    Q is 1 where answers are good (and as fast as promised), else 0. 1: nothing was lost; 0: everything, to the end.
    What was not watched any more counts as it was left: good if steady state was back for good, else lost. A trial that
    was cut short says nothing. Sampling leaves each edge of a bad stretch open by one interval.

    Source: G. P. Cimellaro, A. M. Reinhorn and M. Bruneau, "Framework for analytical quantification of disaster
    resilience", Engineering Structures 32 (2010), equation 1.
    """
    trial = samples.trial
    if trial.injected_s is None or trial.aborted or trial.lost:
        return None
    control_s = experiment.fault_s + experiment.recovery_deadline_s
    until_s = min(trial.end_s, trial.injected_s + control_s)
    series = samples.between(seen.check.id, trial.injected_s, until_s)
    if not len(series):
        return None
    bad = ~goodness(seen.check, samples, series)
    each_s = (until_s - trial.injected_s) / len(series)
    lost_s = each_s * int(np.count_nonzero(bad))
    if seen.began_s is not None and seen.back_s is None:
        lost_s += trial.injected_s + control_s - until_s
    stretches = int(np.count_nonzero(np.diff(bad.astype(np.int8), prepend=0) == 1))
    kept, doubt = 1 - lost_s / control_s, stretches * each_s / control_s
    return Span(max(0.0, kept), max(0.0, kept - doubt), min(1.0, kept + doubt))
