"""Metastability: once the trigger is gone, goodput returns while the same load goes on.

Source: N. Bronson et al., "Metastable Failures in Distributed Systems", HotOS 2021.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from executor.load.window import Window
from executor.measure.capacity.hysteresis import WINDOWS_MIN, hysteresis
from executor.measure.columns import Flags, Floats
from executor.measure.criteria.common import Part, not_well_before
from executor.measure.criteria.common import words as words_of
from executor.measure.impact import goodness, impact
from executor.measure.intervals import Share
from executor.measure.samples import Samples
from executor.measure.validators.common import validation
from executor.measure.validators.felt import feels, injected, unless_disturbed
from executor.model.evidence import Validation
from executor.model.plan import Experiment
from executor.model.probe import Check
from executor.model.vocabulary import Phase, Verdict
from executor.model.wording import percent

_VERDICTS = {"recovers": Verdict.HOLDS, "metastable": Verdict.BREAKS, "inconclusive": Verdict.INCONCLUSIVE}
WINDOWS = 4 * WINDOWS_MIN
"""As many windows as a phase is cut into, where it has the answers."""


def validate(experiment: Experiment, trials: Sequence[Samples]) -> Iterator[Validation]:
    """One result a check that may feel the fault and lost its steady state: its goodput before, during and after it.

    The load is that of the checks, which are asked at the same rate, in open loop, from the baseline to the trial's
    end; the trigger is the fault, from its injection to its revert. Judged as a service after an overload is
    (``capacity.hysteresis``), in windows of equally many askings. To be told metastable it must have been watched for
    as long as the fault lasted.
    """
    for check in (check for check in experiment.checks if feels(check, experiment)):
        hurt = [each for each in injected(trials) if impact(check, each).began_s is not None]
        told = ((samples, _trial(check, samples)) for samples in hurt)
        parts = [unless_disturbed(part, experiment, [each], Phase.RECOVERY) for each, part in told if part is not None]
        if parts:
            yield validation(
                "metastability", check.id, parts, "goodput returns under the same load once the fault is gone"
            )


def _trial(check: Check, samples: Samples) -> Part | None:
    """``None`` if goodput had returned before the trigger was gone."""
    trial = samples.trial
    if trial.reverted_s is None:
        return Part(Verdict.INCONCLUSIVE, f"{check.id}: the fault was not seen to be gone")
    if unwell := not_well_before(check.id, [samples], check.slo.availability_min, check.slo.latency_ms_max):
        return Part(Verdict.INCONCLUSIVE, unwell)
    back_s = impact(check, samples).back_settled_s
    if back_s is not None and back_s < trial.help_begins_s:
        return None
    series = samples.between(check.id, trial.baseline_start_s, trial.end_s)
    good = goodness(check, samples, series)
    spans = (
        (trial.baseline_start_s, trial.fault_begins_s),
        (trial.fault_begins_s, trial.help_begins_s),
        (trial.reverted_s, trial.end_s),
    )
    windows = [window for span in spans for window in _windows(series.at_s, good, span, 1 / check.rate_hz)]
    seen = hysteresis(windows, (trial.fault_begins_s, trial.reverted_s))
    shares = [each for each in (seen.before, seen.during, seen.after) if each is not None]
    words = ", ".join(percent(each.value) for each in shares)
    verdict, why = _VERDICTS[seen.verdict], seen.why
    if verdict is Verdict.BREAKS:
        why = "goodput does not return, the fault gone"
    elif verdict is Verdict.HOLDS and back_s is None:
        verdict, why = Verdict.INCONCLUSIVE, f"{why}, and falling again at the end"
    measured = f"{check.id}: {why}" + (f" (goodput before, during, after: {words})" if words else "")
    after = samples.between(check.id, trial.reverted_s, trial.end_s)
    if back_s is not None and len(after) < 3 * WINDOWS_MIN:  # well, and so not watched any longer
        share = Share(int(np.count_nonzero(goodness(check, samples, after))), len(after))
        return Part(Verdict.HOLDS, f"{check.id}: in steady state again; after the fault {words_of(share)} good")
    return Part(verdict, measured)


def _windows(at_s: Floats, good: Flags, span: tuple[float, float], each_s: float) -> Iterator[Window]:
    """A phase in windows of equally many askings; what is over at its end is left out.

    A window lasts until the next asking, so that where some are missing its rate tells.
    """
    chosen = np.flatnonzero((span[0] <= at_s) & (at_s < span[1]))
    size = max(1, len(chosen) // WINDOWS)
    next_s = np.append(at_s[chosen[1:]], at_s[chosen[-1:]] + each_s)
    for begin in range(0, len(chosen) - size + 1, size):
        places = chosen[begin : begin + size]
        yield Window(
            at_s=float(at_s[places[0]]),
            span_s=float(next_s[begin + size - 1] - at_s[places[0]]),
            due=size,
            late=0,
            dropped=0,
            skipped=0,
            good=int(np.count_nonzero(good[places])),
            answered=0,
            failed={},
            under_way=0,
            lag_ms=0.0,
            busy=0.0,
        )
