"""How far an experiment's faults should spread, from who calls whom and what their owners say.

As the rehearsal, of which this is the part that looks at callers one by one, it does not simulate time: it foresees who
falls and in which order of calls, and says nothing of how fast.
"""

from __future__ import annotations

from dataclasses import dataclass

from executor.measure.cascade.ways import Edge, Way, felt, shortest, ways
from executor.measure.containment import struck
from executor.model.plan import Experiment, InstanceTarget, Target
from executor.model.probe import Check
from executor.model.system import System
from knowledge.topology.single_points import hard_callees
from planner.recipes.paths import feels, struck_whole

NEEDS = 0.95
"""P(falls) where its owner says that it needs what is struck."""
UNKNOWN = 0.7
"""Where nobody says whether it can do without."""
SOFT = 0.1
"""Where its owner says that it can, or every way there has a fallback."""
PARTLY = 0.3
"""Where other instances of what is struck are left to serve."""
FALLS = 0.5
"""From here on a service is said to fall."""


@dataclass(frozen=True)
class Foreseen:
    """What is expected of a service at risk."""

    service: str
    probability: float
    """That it falls, 0–1."""
    way: Way | None
    """The last part of its shortest way to what is struck; ``None``: no dependency shows one."""
    hops: int | None
    """Calls of the whole way."""
    why: str

    @property
    def falls(self) -> bool:
        """Whether it is expected to."""
        return self.probability >= FALLS


def edges_of(system: System) -> tuple[Edge, ...]:
    """Every dependency as (caller, callee)."""
    return tuple((edge.caller, edge.callee) for edge in system.dependencies)


def foresee(experiment: Experiment, system: System) -> tuple[Foreseen, ...]:
    """The services at risk beyond the target, nearest first."""
    targets = struck(experiment)
    worst: dict[str, tuple[float, str]] = {}
    at_risk = ((c, a.target) for c in experiment.checks for a in experiment.actions if feels(c, a.target, system))
    for check, target in at_risk:
        if check.service not in targets:
            worst[check.service] = max(worst.get(check.service, (0.0, "")), chance(check, target, system))
    nearest = shortest(ways(felt(edges_of(system), experiment), {*worst, *targets}), targets)
    found = []
    for name, (probability, why) in worst.items():
        way, hops = nearest.get(name, (None, None))
        found.append(Foreseen(name, probability, way, hops, why))
    return tuple(sorted(found, key=lambda each: (each.hops is None, each.hops or 0, each.service)))


def chance(check: Check, target: Target, system: System) -> tuple[float, str]:
    """P(falls) of one check whose users can feel a fault on the target, and why."""
    lost = target.service if isinstance(target, InstanceTarget) else getattr(target, "callee", "")
    if not struck_whole(target, system):
        return PARTLY, "other instances are left to serve"
    if check.service == lost:
        return NEEDS, f"{check.id} asks it itself"
    if check.needs is None:
        hard = _hard_way(check, frozenset((lost,)), system)
        return (UNKNOWN, "nobody says that it does without") if hard else (SOFT, "a fallback is known on every way")
    needed = lost in check.needs
    return (NEEDS, f"{check.id} needs it") if needed else (SOFT, f"{check.id} does without, by its owner's word")


def _hard_way(check: Check, lost: frozenset[str], system: System) -> bool:
    """Whether calls that have no known fallback lead from the check to what is lost."""
    used = [edge for edge in system.dependencies if check.exercises is None or edge.place in check.exercises]
    return bool(lost & {check.service, *hard_callees(check.service, used)})
