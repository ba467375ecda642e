"""Which experiments, and in what order: the most learned for the time and the risk, and small steps first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from executor.model.plan import Experiment
from executor.safety.limits import Limits
from experts.brief import Brief
from planner.abreast import abreast
from planner.worth import STICKY, Place, Worth, seconds, stickiness, types, worth

WORTH_MIN = 0.02
"""An experiment that should tell less than this, in weighted bits, is not worth its time."""
Together = tuple[Experiment, ...]
"""Experiments that run side by side."""


@dataclass(frozen=True)
class Selection:
    """The recommended experiments in the order in which to run them, and why not others."""

    stages: tuple[Together, ...]
    front: tuple[str, ...]
    """Ids of the Pareto front: nothing else teaches as much for as little risk and time."""
    reason: str
    """Why it ends where it ends."""

    @property
    def experiments(self) -> tuple[Experiment, ...]:
        """All of them, in the order in which they begin."""
        return tuple(experiment for stage in self.stages for experiment in stage)


def select(candidates: Sequence[Experiment], brief: Brief, limits: Limits | None = None) -> Selection:
    """Take the best again and again, each time counting only what it would add, until budget or worth ends.

    What the limits allow to run beside something already taken costs no further time. Deterministic: ties go to the
    smaller id.
    """
    allowed = limits or Limits()
    seen: dict[Place, frozenset[str]] = {}
    stages: list[Together] = []
    left = sorted(candidates, key=lambda e: e.id)
    reason = "there is nothing left to try"
    while left:
        taken = sum(map(len, stages))
        if taken >= brief.constraints.experiments_max:
            reason = f"no more than {taken} were asked for"
            break
        ranked = sorted(((worth(e, brief, seen), e) for e in left), key=lambda pair: (-pair[0].rate, pair[1].id))
        if ranked[0][0].value < WORTH_MIN:
            reason = "nothing else would teach enough to be worth its risk and time"
            break
        fitting = ((w, e, fit) for w, e in ranked if w.value >= WORTH_MIN and (fit := _fit(e, stages, brief, allowed)))
        best = next(fitting, None)
        if best is None:
            reason = f"no other experiment fits into the {brief.constraints.seconds_max:g} s that were asked for"
            break
        _, experiment, stages = best
        left.remove(experiment)
        for hypothesis in experiment.hypotheses:
            place = (hypothesis.weakness, hypothesis.place)
            seen[place] = seen.get(place, frozenset()) | types(experiment)
    return Selection(_in_order(stages, brief), front(candidates, brief), reason)


def length(stages: Iterable[Together]) -> float:
    """How long they should take one after another, seconds: of each, as long as the longest in it."""
    return sum(max(seconds(experiment) for experiment in stage) for stage in stages)


def _fit(experiment: Experiment, stages: list[Together], brief: Brief, limits: Limits) -> list[Together] | None:
    """The stages with one more experiment, beside another where that may be; ``None`` if the time does not allow it."""
    budget_s = brief.constraints.seconds_max
    for number, stage in enumerate(stages):
        joined = abreast(stage, experiment, brief.system, limits)
        if joined is not None:
            wider = [*stages[:number], joined, *stages[number + 1 :]]
            if length(wider) <= budget_s:
                return wider
    longer = [*stages, (experiment,)]
    return longer if length(longer) <= budget_s else None


def front(candidates: Iterable[Experiment], brief: Brief) -> tuple[str, ...]:
    """The candidates that no other beats in value, risk and time at once, by id."""
    judged = sorted(((e.id, worth(e, brief, {})) for e in candidates), key=lambda pair: pair[0])
    return tuple(name for name, one in judged if not any(_beats(other, one) for _, other in judged))


def _beats(one: Worth, other: Worth) -> bool:
    no_worse = one.value >= other.value and one.risk <= other.risk and one.seconds <= other.seconds
    return no_worse and one != other


def _in_order(stages: Sequence[Together], brief: Brief) -> tuple[Together, ...]:
    """What is easily undone before what sticks; within each, what teaches most for its time first."""

    def key(stage: Together) -> tuple[bool, float, str]:
        sticks = any(stickiness(experiment) >= STICKY for experiment in stage)
        return sticks, -sum(worth(experiment, brief, {}).rate for experiment in stage), stage[0].id

    return tuple(sorted(stages, key=key))
