"""Which experiments, and in what order: the most learned for the time and the risk, and small steps first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from executor.model.plan import Experiment
from executor.safety.limits import Limits
from experts.brief import Brief
from planner.abreast import abreast
from planner.objectives import WORTH_MIN, Budget, Stop, stop
from planner.worth import STICKY, UNTOLD, Place, Scales, Told, Worth, seconds, stickiness, types

Together = tuple[Experiment, ...]
"""Experiments that run side by side."""


@dataclass(frozen=True)
class Selection:
    """The recommended experiments in the order in which to run them, and why not others."""

    stages: tuple[Together, ...]
    front: tuple[str, ...]
    """Ids of the Pareto front: nothing else teaches as much for as little risk and time."""
    ends: Stop
    """Why it ends where it ends."""
    judged: Mapping[str, Worth]
    """What each candidate is worth for itself, by id."""

    @property
    def reason(self) -> str:
        """The same in words, a clause."""
        return self.ends.text

    @property
    def experiments(self) -> tuple[Experiment, ...]:
        """All of them, in the order in which they begin."""
        return tuple(experiment for stage in self.stages for experiment in stage)


def select(
    candidates: Sequence[Experiment], brief: Brief, limits: Limits | None = None, told: Told = UNTOLD
) -> Selection:
    """Take the best again and again, each time counting only what it would add, until budget or worth ends.

    What the limits allow to run beside something already taken costs no further time. Deterministic: ties go to the
    smaller id.
    """
    allowed = limits or Limits()
    scales = Scales(brief, told)
    judged = {e.id: scales.worth(e, {}) for e in candidates}
    seen: dict[Place, frozenset[str]] = {}
    stages: list[Together] = []
    left = sorted(candidates, key=lambda e: e.id)
    budget = Budget(brief.constraints.experiments_max, brief.constraints.seconds_max)
    while True:
        taken = sum(map(len, stages))
        ranked = sorted(((scales.worth(e, seen), e) for e in left), key=lambda pair: (-pair[0].rate, pair[1].id))
        worths = [one.value for one, _ in ranked]
        ends = stop(worths, budget, taken=taken)
        if ends is not None:
            break
        fitting = ((w, e, fit) for w, e in ranked if w.value >= WORTH_MIN and (fit := _fit(e, stages, brief, allowed)))
        best = next(fitting, None)
        ends = stop(worths, budget, taken=taken, fits=best is not None)
        if ends is not None or best is None:
            break
        _, experiment, stages = best
        left.remove(experiment)
        for hypothesis in experiment.hypotheses:
            place = (hypothesis.weakness, hypothesis.place)
            seen[place] = seen.get(place, frozenset()) | types(experiment)
    assert ends is not None
    return Selection(_in_order(stages, judged), front(judged), ends, judged)


def promising(candidates: Sequence[Experiment], brief: Brief, told: Told = UNTOLD) -> Iterator[Experiment]:
    """All of them in about the order in which ``select`` would take them, if time and limits allowed it.

    What a candidate adds falls with what is taken before it, so that it is weighed anew only when its turn comes.
    Source: Minoux, "Accelerated greedy algorithms for maximizing submodular set functions", 1978.
    """
    scales = Scales(brief, told)
    seen: dict[Place, frozenset[str]] = {}
    ahead = [(-scales.worth(e, seen).rate, e.id, 0, number) for number, e in enumerate(candidates)]
    heapify(ahead)
    taken = 0
    while ahead:
        _, name, weighed, number = heappop(ahead)
        experiment = candidates[number]
        if weighed < taken and ahead and (now := -scales.worth(experiment, seen).rate) > ahead[0][0]:
            heappush(ahead, (now, name, taken, number))
            continue
        yield experiment
        taken += 1
        for hypothesis in experiment.hypotheses:
            place = (hypothesis.weakness, hypothesis.place)
            seen[place] = seen.get(place, frozenset()) | types(experiment)


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


def front(judged: Mapping[str, Worth]) -> tuple[str, ...]:
    """The ids of those that no other beats in value, risk and time at once, in order."""
    return tuple(name for name in sorted(judged) if not any(_beats(other, judged[name]) for other in judged.values()))


def _beats(one: Worth, other: Worth) -> bool:
    no_worse = one.value >= other.value and one.risk <= other.risk and one.seconds <= other.seconds
    return no_worse and one != other


def _in_order(stages: Sequence[Together], judged: Mapping[str, Worth]) -> tuple[Together, ...]:
    """What is easily undone before what sticks; within each, what teaches most for its time first."""

    def key(stage: Together) -> tuple[bool, float, str]:
        sticks = any(stickiness(experiment) >= STICKY for experiment in stage)
        return sticks, -sum(judged[experiment.id].rate for experiment in stage), stage[0].id

    return tuple(sorted(stages, key=key))
