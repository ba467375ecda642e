"""``recovers_within``: steady state is back in time, and stays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from executor.measure.criteria import common
from executor.measure.criteria.common import Part, not_well_before, result
from executor.measure.impact import BAD_MIN, Impact, goodness, impact, windows_of
from executor.measure.intervals import Share
from executor.measure.samples import Samples, window
from executor.model.criteria import RecoversWithin
from executor.model.evidence import CriterionResult
from executor.model.plan import Experiment
from executor.model.probe import Check
from executor.model.vocabulary import Verdict

_KINDEST = (Verdict.HOLDS, Verdict.INCONCLUSIVE, Verdict.BREAKS)
LATE_MIN = 3
"""Answers after the limit that are needed to say that it was missed."""


def judge(criterion: RecoversWithin, experiment: Experiment, trials: Sequence[Samples]) -> CriterionResult:
    """Every check, or with ``of="any"`` one that felt the fault, must recover in every trial."""
    origin = "the fault was gone" if criterion.since == "reverted" else "the fault came, unaided"
    limit = f"steady state again within {criterion.within_s:g} s after {origin}"
    parts: list[Part] = []
    well: list[Check] = []
    for check in (common.check(experiment, name) for name in criterion.checks):
        if unwell := not_well_before(check.id, trials, check.slo.availability_min, check.slo.latency_ms_max):
            parts.append(Part(Verdict.INCONCLUSIVE, unwell))
        else:
            well.append(check)
    if criterion.of == "any":
        found = [_kindest(criterion, well, samples) for samples in trials]
        parts = [part for each in found for part in each] if all(found) else parts
    else:
        parts += [_trial(criterion, check, samples) for check in well for samples in trials]
    return result(criterion.kind, parts, limit)


def _kindest(criterion: RecoversWithin, checks: Sequence[Check], samples: Samples) -> list[Part]:
    """What those say that speak best for the system, of the checks that felt the fault, or else of all."""
    felt = [check for check in checks if impact(check, samples).began_s is not None]
    parts = [_trial(criterion, check, samples) for check in felt or checks]
    best = min((part.verdict for part in parts), key=_KINDEST.index, default=None)
    return [part for part in parts if part.verdict is best]


def _trial(criterion: RecoversWithin, check: Check, samples: Samples) -> Part:
    trial = samples.trial
    origin_s = trial.reverted_s if criterion.since == "reverted" else trial.injected_s
    if origin_s is None:
        return Part(Verdict.INCONCLUSIVE, f"{check.id}: the fault was not {criterion.since}")
    seen = impact(check, samples)
    deadline_s = origin_s + criterion.within_s
    if seen.began_s is None:
        watched = int(np.count_nonzero(samples.of(check.id).at_s >= origin_s))
        enough = watched >= window(check.rate_hz)
        words = f"{check.id}: no impact in {watched} answers, nothing to recover from"
        return Part(Verdict.HOLDS if enough else Verdict.INCONCLUSIVE, words)
    late = _late(check, samples, deadline_s)
    if late is not None:
        words = f"{check.id}: still only {common.words(late)} good after {criterion.within_s:g} s"
        return Part(Verdict.BREAKS, words)
    return _in_time(criterion, seen, samples, origin_s)


def _in_time(criterion: RecoversWithin, seen: Impact, samples: Samples, origin_s: float) -> Part:
    name = seen.check.id
    if seen.back_s is None:
        return Part(Verdict.INCONCLUSIVE, f"{name}: not watched long enough to see it recover")
    took_s = max(0.0, seen.back_s - origin_s)
    unaided = seen.back_settled_s is not None and seen.back_settled_s < samples.trial.help_begins_s
    if criterion.since == "injected" and not unaided:
        return Part(Verdict.INCONCLUSIVE, f"{name}: back after {took_s:.2f} s, but only once the fault was taken away")
    in_time = took_s <= criterion.within_s
    words = f"{name}: back after {took_s:.2f} s (± {1 / seen.check.rate_hz:.2f} s)"
    return Part(Verdict.HOLDS if in_time else Verdict.INCONCLUSIVE, words)


def _late(check: Check, samples: Samples, deadline_s: float) -> Share | None:
    """Answers from the deadline until it recovered, if they show that it was not back by then; else ``None``."""
    k = window(check.rate_hz)
    good = goodness(check, samples, samples.between(check.id, deadline_s, samples.trial.end_s))
    until = next(iter(windows_of(good, k).tolist()), len(good))
    late = Share(int(np.count_nonzero(good[:until])), until)
    missed = late.n >= LATE_MIN and late.n - late.good >= BAD_MIN and late.high < check.slo.availability_min
    return late if missed else None
