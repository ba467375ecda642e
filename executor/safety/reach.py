"""How much of a system a plan touches at one moment: the measure that the blast radius limits.

What one action touches is in ``touch``.

Where time does not settle whether two faults are there together, they are taken to be: actions that follow each other
without a gap overlap (reverting takes a moment), and so do all experiments of one stage, each at its worst moment.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from executor.model.plan import Action, Experiment, Plan, Stage
from executor.model.system import System
from executor.safety.impact import indirect, traffic_percent
from executor.safety.touch import Also, by
from executor.state.journal import Reach


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
        alone = self.services <= 1 and self.edges <= 1 and (self.instances <= 1 or self.edges == 1)
        return self.faults <= 1 and alone


def reach_of(plan: Plan, system: System, protected: Collection[str] = (), also: Also | None = None) -> Reach:
    """The most that the plan touches at one moment, and all it touches at any: instances, and edges as places.

    An edge's targets include its caller's instances, so that two runs cannot work on one service from two sides.
    ``protected`` names the services whose indirect loss is limited, ``also`` what each action was seen to strike beside
    what it names. Raises ``InputError`` for a target that the system does not have.
    """
    peaks = [peak(stage, system, protected, also) for stage in plan.stages]
    every = [by(action, system, also) for action in plan.actions]
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


def peak(stage: Stage, system: System, protected: Collection[str] = (), also: Also | None = None) -> Peak:
    """The worst moment of a stage, with what ``protected`` services lose in it.

    Raises ``InputError`` for a target that the system does not have.
    """
    worst = [_worst(experiment, system, protected, also) for experiment in stage.experiments]
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
    for now in sorted({action.start_s for action in experiment.actions}):
        yield tuple(a for a in experiment.actions if a.start_s <= now <= a.start_s + a.whole_s)


def run_s(plan: Plan) -> float:
    """The longest that a run of the plan takes, seconds: every trial with its whole recovery deadline."""
    return sum(max(_length_s(experiment) for experiment in stage.experiments) for stage in plan.stages)


def _length_s(experiment: Experiment) -> float:
    settling_s = max((check.settle_s for check in experiment.data_checks), default=0.0)
    phases_s = experiment.baseline_s + experiment.fault_s + experiment.recovery_deadline_s
    return experiment.trials * (phases_s + settling_s)


def _worst(experiment: Experiment, system: System, protected: Collection[str], also: Also | None) -> Peak:
    sets = list(together(experiment))
    moments = [[by(action, system, also) for action in actions] for actions in sets]
    # Ids are joined within an experiment: two faults on one instance touch one instance, and count as two faults.
    return Peak(
        instances=max(len(frozenset().union(*(each.instances for each in moment))) for moment in moments),
        services=max(len(frozenset().union(*(each.services for each in moment))) for moment in moments),
        edges=max(len(frozenset().union(*(each.edges for each in moment))) for moment in moments),
        faults=max(sum(each.faults for each in moment) for moment in moments),
        traffic=max(traffic_percent(actions, system, also) for actions in sets),
        protected={name: max(100 * indirect(actions, name, system, also) for actions in sets) for name in protected},
    )
