"""How much of a system a plan touches at one moment: the measure that the blast radius limits.

What counts as touched. A fault on instances touches those instances and their service. A fault on an edge touches its
*caller*: every instance of it loses the dependency, while the callee keeps serving its other callers. A partition
touches the caller of every edge that it cuts.

Where time does not settle whether two faults are there together, they are taken to be: actions that follow each other
without a gap overlap (reverting takes a moment), and so do all experiments of one stage, each at its worst moment.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from executor.drivers.resolve import chosen, edges_of
from executor.errors import InputError
from executor.model.plan import Action, Experiment, InstanceTarget, Plan, Stage, Target
from executor.model.system import System
from executor.safety.impact import indirect, traffic_percent
from executor.state.journal import Reach


@dataclass(frozen=True)
class Touched:
    """What one action touches."""

    instances: frozenset[str]
    services: frozenset[str]
    edges: frozenset[str]
    faults: int
    """One for each instance struck, or one for all the edges together."""


@dataclass(frozen=True)
class Peak:
    """The most that a stage touches at one moment. Each number is the worst by itself."""

    instances: int
    services: int
    edges: int
    faults: int
    traffic: float
    """Share of what users do that is predicted to pass over it, percent."""
    protected: Mapping[str, float]
    """Share of its work that each protected service is predicted to lose, percent."""

    @property
    def single(self) -> bool:
        """Whether it is one fault on one instance or one edge: always allowed, or small systems could not be tested.

        An edge is one thing to take away, however many instances its caller has.
        """
        return self.faults <= 1 and self.services <= 1 and self.edges <= 1


def touched(target: Target, system: System, *, whole: bool = False) -> Touched:
    """What a fault on the target touches; one that is ``whole`` touches every instance of the service.

    Raises ``InputError`` if the system has no such service, instance or edge.
    """
    if isinstance(target, InstanceTarget):
        try:
            service = system.service(target.service)
        except KeyError:
            raise InputError("the system has no such service.", where=target.service) from None
        named = chosen(target, service)
        ids = frozenset(instance.id for instance in service.instances) if whole else frozenset(named)
        return Touched(ids, frozenset((service.name,)), frozenset(), len(ids))
    edges = edges_of(target, system)
    if not edges:
        raise InputError("the system knows no edge between the groups.", where=target.kind)
    callers = {edge.caller for edge in edges}
    ids = frozenset(instance.id for name in callers for instance in system.service(name).instances)
    return Touched(ids, frozenset(callers), frozenset(edge.place for edge in edges), 1)


def by(action: Action, system: System) -> Touched:
    """What an action touches. Raises as ``touched`` does."""
    return touched(action.target, system, whole=action.fault.strikes_all())


def reach_of(plan: Plan, system: System, protected: Collection[str] = ()) -> Reach:
    """The most that the plan touches at one moment, and all it touches at any: instances, and edges as places.

    An edge's targets include its caller's instances, so that two runs cannot work on one service from two sides.
    ``protected`` names the services whose indirect loss is limited.
    Raises ``InputError`` for a target that the system does not have.
    """
    peaks = [peak(stage, system, protected) for stage in plan.stages]
    every = [by(action, system) for action in plan.actions]
    struck = frozenset().union(*(each.services for each in every))
    return Reach(
        instances=max(peak.instances for peak in peaks),
        services=max(peak.services for peak in peaks),
        faults=max(peak.faults for peak in peaks),
        targets=tuple(sorted(frozenset().union(*(each.instances | each.edges for each in every)))),
        traffic=max(peak.traffic for peak in peaks),
        protected=max((share for peak in peaks for share in peak.protected.values()), default=0.0),
        struck=tuple(sorted(struck)),
        leans=tuple(sorted(beneath(struck, system) - struck)),
    )


def beneath(names: Collection[str], system: System) -> frozenset[str]:
    """These services and all that they depend on, directly or not."""
    found: set[str] = set()
    new = set(names)
    while new:
        found |= new
        new = {edge.callee for edge in system.dependencies if edge.caller in new} - found
    return frozenset(found)


def peak(stage: Stage, system: System, protected: Collection[str] = ()) -> Peak:
    """The worst moment of a stage, with what ``protected`` services lose in it.

    Raises ``InputError`` for a target that the system does not have.
    """
    worst = [_worst(experiment, system, protected) for experiment in stage.experiments]
    return Peak(
        instances=sum(each.instances for each in worst),
        services=sum(each.services for each in worst),
        edges=sum(each.edges for each in worst),
        faults=sum(each.faults for each in worst),
        traffic=min(100.0, sum(each.traffic for each in worst)),
        protected={name: min(100.0, sum(each.protected[name] for each in worst)) for name in protected},
    )


def together(experiment: Experiment) -> Iterator[tuple[Action, ...]]:
    """The sets of actions that are there together, at each moment at which one begins."""
    for begun in experiment.actions:
        now = begun.start_s
        yield tuple(a for a in experiment.actions if a.start_s <= now <= a.start_s + a.whole_s)


def run_s(plan: Plan) -> float:
    """The longest that a run of the plan takes, seconds: every trial with its whole recovery deadline."""
    return sum(max(_length_s(experiment) for experiment in stage.experiments) for stage in plan.stages)


def _length_s(experiment: Experiment) -> float:
    return experiment.trials * (experiment.baseline_s + experiment.fault_s + experiment.recovery_deadline_s)


def _worst(experiment: Experiment, system: System, protected: Collection[str]) -> Peak:
    sets = list(together(experiment))
    moments = [[by(action, system) for action in actions] for actions in sets]
    # Ids are joined within an experiment: two faults on one instance touch one instance, and count as two faults.
    return Peak(
        instances=max(len(frozenset().union(*(each.instances for each in moment))) for moment in moments),
        services=max(len(frozenset().union(*(each.services for each in moment))) for moment in moments),
        edges=max(len(frozenset().union(*(each.edges for each in moment))) for moment in moments),
        faults=max(sum(each.faults for each in moment) for moment in moments),
        traffic=max(traffic_percent(actions, system) for actions in sets),
        protected={name: max(100 * indirect(actions, name, system) for actions in sets) for name in protected},
    )
