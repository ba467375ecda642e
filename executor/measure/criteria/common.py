"""What the judges of criteria share: their one signature, the rule of three values, and words for results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from executor.measure.intervals import Share
from executor.measure.samples import Samples
from executor.model.evidence import CriterionResult
from executor.model.plan import Experiment
from executor.model.probe import Check
from executor.model.vocabulary import Phase, Verdict
from executor.model.wording import percent

ANSWERS_MIN = 8
"""Fewer answers than this decide nothing."""
BASELINE_MIN = 4
"""Fewer answers than this do not show that a check was well before the fault."""

Judge = Callable[[Any, Experiment, Sequence[Samples]], CriterionResult]
"""Takes a criterion, its experiment and that experiment's trials."""


@dataclass(frozen=True)
class Part:
    """How one check (or one trial) came out under a criterion."""

    verdict: Verdict
    measured: str


def of_share(share: Share, least: float) -> Verdict:
    """``breaks`` only if the whole interval lies below the limit, ``holds`` only if the share itself meets it."""
    if share.n < ANSWERS_MIN:
        return Verdict.INCONCLUSIVE
    if share.high < least:
        return Verdict.BREAKS
    return Verdict.HOLDS if share.value >= least else Verdict.INCONCLUSIVE


def combine(verdicts: Iterable[Verdict]) -> Verdict:
    """One that breaks breaks all; all that hold hold; anything else is inconclusive, and so is nothing at all."""
    seen = set(verdicts)
    if Verdict.BREAKS in seen:
        return Verdict.BREAKS
    return Verdict.HOLDS if seen == {Verdict.HOLDS} else Verdict.INCONCLUSIVE


def result(kind: str, parts: Sequence[Part], limit: str) -> CriterionResult:
    """The criterion's result from its parts, those that decided it named first."""
    verdict = combine(part.verdict for part in parts)
    decisive = sorted(parts, key=lambda part: part.verdict is not verdict)
    measured = "; ".join(part.measured for part in decisive) or "nothing was measured"
    return CriterionResult(kind=kind, verdict=verdict, measured=line(measured), limit=line(limit))


def line(text: str) -> str:
    """Text that fits a contract's ``Line``."""
    return text if len(text) <= 400 else text[:399] + "…"


def check(experiment: Experiment, name: str) -> Check:
    """The experiment's check of that name; the contract guarantees that it is there."""
    return next(each for each in experiment.checks if each.id == name)


def not_well_before(
    name: str,
    trials: Sequence[Samples],
    availability_min: float,
    latency_ms_max: float | None,
    least: int = BASELINE_MIN,
) -> str | None:
    """Why a check's baseline shows no steady state, in words; ``None`` if it does, in every trial.

    ``least``: so many answers are wanted of it.
    """
    for samples in trials:
        baseline = samples.within(name, Phase.BASELINE)
        if len(baseline) < least:
            return f"{name}: only {len(baseline)} answers before the fault"
        good = Share(int(np.count_nonzero(baseline.ok)), len(baseline))
        if good.value < availability_min:
            return f"{name} was not well before the fault: {words(good)} good"
        if latency_ms_max is None:
            continue
        quick = Share(int(np.count_nonzero(baseline.latency_ms <= latency_ms_max)), len(baseline))
        if quick.value < 0.9:
            return f"{name} was not well before the fault: {words(quick)} within {latency_ms_max:g} ms"
    return None


def words(share: Share) -> str:
    """For instance ``12 of 30 (40 %, 95 % interval 25–58 %)``."""
    interval = f"{share.low * 100:.0f}–{percent(share.high)}"
    return f"{share.good} of {share.n} ({percent(share.value)}, 95 % interval {interval})"
