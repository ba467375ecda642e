"""When the system itself noticed: a signal that said well before the fault, and no longer says it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from executor.measure.samples import Samples
from executor.model.probe import DetectionSignal
from executor.model.vocabulary import Phase

SAID_WELL_MIN = 3
"""Answers before the fault that must all say well, or a later flip shows nothing."""
CUT_SHORT = ("unanswered", "overflow", "no answer within")
"""Errors of askings that were given up: silence, which is neither "well" nor "unwell"."""


@dataclass(frozen=True)
class Detection:
    """What one signal said in one trial. Times are seconds since the run started."""

    well_before: bool
    """Its last answers before the fault said well, and none of the baseline took that back: what alarms without a
    fault shows nothing when it does under one."""
    detected_s: float | None
    """When the first answer that said unwell had come; ``None``: none did."""
    last_well_s: float | None
    """When the last asking before it that was answered well began: detection lies between the two."""
    silent_s: float | None
    """Intended start of the first asking under fault that was given up before one said unwell; ``None``: no such."""


def concerns(signal: DetectionSignal, samples: Samples) -> bool:
    """Whether a trial gave a signal something to report: one that speaks of one instance, only if that was struck."""
    return signal.instance is None or signal.instance in samples.trial.struck


def detection(signal: str, samples: Samples) -> Detection:
    """Read one signal's answers from the baseline to the end of the fault phase."""
    baseline = samples.within(signal, Phase.BASELINE)
    before, told = baseline[-SAID_WELL_MIN:], baseline.ok[~baseline.fails_with(CUT_SHORT)]
    false_alarm = bool(np.any(told[:-1] & ~told[1:]))
    begin_s, end_s = samples.trial.fault_begins_s, samples.trial.help_begins_s
    under_fault = samples.between(signal, begin_s, end_s)
    said = [o for o in under_fault if not o.error.startswith(CUT_SHORT)]
    unwell = next((o for o in said if not o.ok and o.answered_s <= end_s), None)
    horizon_s = end_s if unwell is None else unwell.at_s
    well = [o.at_s for o in (*before, *said) if o.ok and o.at_s < horizon_s]
    return Detection(
        well_before=len(before) == SAID_WELL_MIN and bool(before.ok.all()) and not false_alarm,
        detected_s=None if unwell is None else unwell.answered_s,
        last_well_s=well[-1] if well else None,
        silent_s=next((o.at_s for o in under_fault if o.at_s < horizon_s and o.error.startswith(CUT_SHORT)), None),
    )
