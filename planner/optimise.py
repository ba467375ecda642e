"""Which experiments, and in what order: the most learned for the time and the risk, and small steps first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from executor.model.plan import Experiment
from experts.brief import Brief
from planner.worth import Place, Worth, seconds, stickiness, types, worth

WORTH_MIN = 0.02
"""An experiment that should tell less than this, in weighted bits, is not worth its time."""
STICKY = 0.2
"""From here on a fault is tried only after all that are easier to undo."""


@dataclass(frozen=True)
class Selection:
    """The recommended experiments in the order in which to run them, and why not others."""

    experiments: tuple[Experiment, ...]
    front: tuple[str, ...]
    """Ids of the Pareto front: nothing else teaches as much for as little risk and time."""
    reason: str
    """Why it ends where it ends."""


def select(candidates: Sequence[Experiment], brief: Brief) -> Selection:
    """Take the best again and again, each time counting only what it would add, until budget or worth ends.

    Deterministic: ties go to the smaller id.
    """
    seen: dict[Place, frozenset[str]] = {}
    taken: list[Experiment] = []
    left = sorted(candidates, key=lambda e: e.id)
    budget_s = brief.constraints.seconds_max
    reason = "there is nothing left to try"
    while left:
        if len(taken) >= brief.constraints.experiments_max:
            reason = f"{len(taken)} experiments are as many as were asked for"
            break
        judged = [(worth(e, brief, seen), e) for e in left if seconds(e) <= budget_s]
        if not judged:
            reason = f"no other experiment fits into the {brief.constraints.seconds_max:g} s that were asked for"
            break
        best, experiment = max(judged, key=lambda pair: (pair[0].rate, -left.index(pair[1])))
        if best.value < WORTH_MIN:
            reason = "nothing else would teach enough to be worth its risk and time"
            break
        taken.append(experiment)
        left.remove(experiment)
        budget_s -= seconds(experiment)
        for hypothesis in experiment.hypotheses:
            place = (hypothesis.weakness, hypothesis.place)
            seen[place] = seen.get(place, frozenset()) | types(experiment)
    return Selection(_in_order(taken, brief), front(candidates, brief), reason)


def front(candidates: Iterable[Experiment], brief: Brief) -> tuple[str, ...]:
    """The candidates that no other beats in value, risk and time at once, by id."""
    judged = sorted(((e.id, worth(e, brief, {})) for e in candidates), key=lambda pair: pair[0])
    return tuple(name for name, one in judged if not any(_beats(other, one) for _, other in judged))


def _beats(one: Worth, other: Worth) -> bool:
    no_worse = one.value >= other.value and one.risk <= other.risk and one.seconds <= other.seconds
    return no_worse and one != other


def _in_order(taken: Sequence[Experiment], brief: Brief) -> tuple[Experiment, ...]:
    """What is easily undone before what sticks; within each, what teaches most for its time first."""

    def key(experiment: Experiment) -> tuple[bool, float, str]:
        return stickiness(experiment) >= STICKY, -worth(experiment, brief, {}).rate, experiment.id

    return tuple(sorted(taken, key=key))
