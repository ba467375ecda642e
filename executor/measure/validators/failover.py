"""Fail-over: who answered before and under the fault, how long nobody did, and whether the data came through."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from executor.measure.criteria.common import Part, not_well_before
from executor.measure.criteria.data_kept import kept
from executor.measure.impact import Impact, goodness, impact
from executor.measure.rotation import absent, downed, telling
from executor.measure.samples import Samples
from executor.measure.validators.common import taken_over_s, validation
from executor.model.evidence import Validation
from executor.model.plan import Experiment
from executor.model.probe import Check
from executor.model.vocabulary import Phase, Verdict


def validate(experiment: Experiment, trials: Sequence[Samples]) -> Iterator[Validation]:
    """One result a check whose answers name who gave them, where the experiment takes instances down."""
    if not downed(experiment):
        return
    for check in telling(experiment):
        within_s = taken_over_s(experiment, check)
        parts = [part for samples in trials for part in _trial(experiment, check, within_s, samples)]
        lost = ", and no acknowledged write is lost" if any(each.write for each in experiment.data_checks) else ""
        expected = f"another serves, steadily and by itself, within {within_s:g} s{lost}"
        yield validation("failover", check.id, parts, expected)


def _trial(experiment: Experiment, check: Check, within_s: float, samples: Samples) -> Iterator[Part]:
    yield _served(check, within_s, samples)
    for data_check in experiment.data_checks:
        yield from kept(data_check, samples)


def _served(check: Check, within_s: float, samples: Samples) -> Part:
    """What happens once Murphy takes the fault away (the dead one comes back, and is met half-started) is no matter."""
    trial, before = samples.trial, samples.within(check.id, Phase.BASELINE)
    if trial.injected_s is None:
        return Part(Verdict.INCONCLUSIVE, "the fault was not injected")
    if not before.by:
        return Part(Verdict.INCONCLUSIVE, f"{check.id} did not tell before the fault who answers")
    if unwell := not_well_before(check.id, [samples], check.slo.availability_min, check.slo.latency_ms_max):
        return Part(Verdict.INCONCLUSIVE, unwell)
    seen, was = impact(check, samples, trial.help_begins_s), f"{_names(before.by)} answered before"
    if seen.began_s is None:
        under = samples.within(check.id, Phase.FAULT)
        if not absent(before, under):
            return Part(Verdict.INCONCLUSIVE, f"{was}, and nobody was missed under the fault: nothing to take over")
        bad = int(np.count_nonzero(~goodness(check, samples, under)))
        failed = f"{bad} of {len(under)} answers failed or were late" if bad else "no users were failed"
        return Part(Verdict.HOLDS, f"{was}, {_names(under.by)} under the fault, and {failed}")
    if seen.back_s is None:
        return _not_back(check, within_s, samples)
    took_s = seen.back_s - trial.injected_s
    since = samples.between(check.id, seen.back_s, trial.help_begins_s)
    if not absent(before, since):
        same = f"{was}, and after {took_s:.2f} s again: that was a restart, and nobody else stood in"
        return Part(Verdict.INCONCLUSIVE, same)
    words = f"{was}, {_names(since.by)} under the fault; nobody served steadily until {_span(seen, trial.injected_s)}"
    return Part(Verdict.HOLDS if took_s <= within_s else Verdict.BREAKS, f"{words} after the injection")


def _not_back(check: Check, within_s: float, samples: Samples) -> Part:
    trial, before = samples.trial, samples.within(check.id, Phase.BASELINE)
    assert trial.injected_s is not None  # seen to by the caller
    asked = samples.within(check.id, Phase.FAULT)
    lasted_s, good = trial.help_begins_s - trial.injected_s, int(asked.ok.sum())
    by = f" (by {_names(asked.by)})" if asked.by else ""
    words = f"{_names(before.by)} answered before; under the fault {good} of {len(asked)} answers were good{by}"
    if lasted_s <= within_s:
        return Part(Verdict.INCONCLUSIVE, f"{words}, and it lasted only {lasted_s:.2f} s")
    return Part(Verdict.BREAKS, f"{words}, and nobody served steadily in its {lasted_s:.2f} s")


def _span(seen: Impact, injected_s: float) -> str:
    """When it was back, with what sampling leaves open."""
    assert seen.back_s is not None  # seen to by the caller
    low_s = seen.back_s if seen.last_bad_s is None else min(seen.last_bad_s, seen.back_s)
    return f"{seen.back_s - injected_s:.2f} s ({max(0.0, low_s - injected_s):.2f}–{seen.back_s - injected_s:.2f} s)"


def _names(names: Sequence[str]) -> str:
    return " and ".join(names) if len(names) < 4 else f"{', '.join(names[:3])} and {len(names) - 3} more"
