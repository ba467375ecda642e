"""From what checks and services get to P(a hypothesis is seen to break) in each world, criterion by criterion.

What the model can play through (answers, their times, calls, recovery) is judged as the executor judges it; what it
cannot (whether a signal tells the truth, whether data is kept) is what the world says of the weakness, as far as the
types of fault show it. A verdict also errs: see ``Parameters.detection`` and ``false_alarm``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from executor.measure.criteria.bounded_latency import WITHIN_MIN
from executor.measure.criteria.steady_state import QUICK_MIN
from executor.model.criteria import (
    BoundedLatency,
    CallsWithin,
    Criterion,
    DataKept,
    DetectedWithin,
    RecoversWithin,
    SteadyState,
)
from executor.model.plan import Experiment, Hypothesis
from executor.model.probe import Check
from executor.model.vocabulary import Phase, Weakness
from knowledge.twin.arrays import Flags, Floats
from knowledge.twin.outcome import Outcome
from knowledge.twin.worlds import Worlds


@dataclass(frozen=True)
class Verdict:
    """P(breaks) of one hypothesis in each world: (worlds,)."""

    breaks: Floats
    simulated: bool
    """Whether the model played through all that it is judged by; else the belief itself is what is told."""


@dataclass(frozen=True)
class Case:
    """What a criterion is judged from."""

    experiment: Experiment
    outcome: Outcome
    worlds: Worlds

    def checks(self, names: tuple[str, ...]) -> Iterator[Check]:
        """The named checks, as far as they stand at a service of the system."""
        roots = self.outcome.setting.net.roots
        return (check for check in self.experiment.checks if check.id in names and check.id in roots)


def verdict(hypothesis: Hypothesis, case: Case, types: tuple[str, ...]) -> Verdict:
    """Play judge over one hypothesis: it breaks if any of its criteria is violated."""
    parameters = case.outcome.parameters
    seen = np.zeros(case.worlds.count, dtype=np.bool_)
    told = np.zeros(case.worlds.count, dtype=np.bool_)
    simulated = True
    for criterion in hypothesis.criteria:
        judge = _JUDGES.get(type(criterion))
        if judge is not None:
            seen |= judge(criterion, case)
        else:
            simulated = False
            told |= _believed(criterion, hypothesis, case, types)
    found = parameters.detects(hypothesis.weakness, types)
    alarm = parameters.false_alarm
    return Verdict(np.where(told, 1 - alarm, np.where(seen, found, alarm)), simulated)


def _steady(criterion: SteadyState, case: Case) -> Flags:
    broken = np.zeros(case.worlds.count, dtype=np.bool_)
    for check in case.checks(criterion.checks):
        if criterion.phase is Phase.RECOVERY:
            kept = 1 - np.minimum(1.0, case.outcome.back_s(check) / case.experiment.recovery_deadline_s)
            broken |= kept < criterion.availability_min
        elif criterion.phase is Phase.FAULT:
            kept = case.outcome.met(check, np.inf, criterion.after_s)
            broken |= kept < criterion.availability_min
            if criterion.latency_ms_max is not None:
                quick = case.outcome.met(check, criterion.latency_ms_max, criterion.after_s)
                broken |= (kept > 0) & (quick < QUICK_MIN * kept)
    return broken


def _bounded(criterion: BoundedLatency, case: Case) -> Flags:
    broken = np.zeros(case.worlds.count, dtype=np.bool_)
    for check in case.checks(criterion.checks):
        broken |= case.outcome.met(check, criterion.limit_ms, any_answer=True) < WITHIN_MIN
    return broken


def _calls(criterion: CallsWithin, case: Case) -> Flags:
    return case.outcome.calls(criterion.caller, criterion.callee) > criterion.factor_max


def _recovers(criterion: RecoversWithin, case: Case) -> Flags:
    late, hurt = [], []
    for check in case.checks(criterion.checks):
        hurt.append(case.outcome.hurt(check))
        if criterion.since == "reverted":
            late.append(case.outcome.back_s(check) > criterion.within_s)
        else:
            waited = (case.outcome.settled_s > criterion.within_s) | case.outcome.hurt_later(check)
            late.append(hurt[-1] & waited)
    if not late:
        return np.zeros(case.worlds.count, dtype=np.bool_)
    some: Flags = np.any(late, axis=0)
    if criterion.of == "all":
        return some
    # one check that felt the fault and is back is enough
    back: Flags = np.any(np.array(hurt) & ~np.array(late), axis=0)
    return some & ~back


_JUDGES: Mapping[type[Any], Callable[[Any, Case], Flags]] = MappingProxyType(
    {SteadyState: _steady, BoundedLatency: _bounded, CallsWithin: _calls, RecoversWithin: _recovers}
)


def _believed(criterion: Criterion, hypothesis: Hypothesis, case: Case, types: tuple[str, ...]) -> Flags:
    """Whether the weakness is there, where it stands, and shows under such a fault."""
    weakness, place = hypothesis.weakness, hypothesis.place
    if isinstance(criterion, DetectedWithin):
        weakness = Weakness.DETECTION_BLIND_SPOT
        place = next((s.service for s in case.experiment.signals if s.id == criterion.signal), place)
    elif isinstance(criterion, DataKept):
        weakness = Weakness.INCONSISTENT_AFTER_CRASH
        place = next((d.service for d in case.experiment.data_checks if d.id == criterion.data_check), place)
    shows = case.outcome.parameters.shows(weakness, types)
    told: Flags = case.worlds.present(weakness, [place])[0] & (case.worlds.uniform(1)[0] < shows)
    return told
