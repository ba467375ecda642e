"""How far a fault spread beyond its target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from executor.measure.criteria.common import ANSWERS_MIN, not_well_before
from executor.measure.impact import Impact, impact
from executor.measure.samples import Samples
from executor.model.plan import EdgeTarget, Experiment, InstanceTarget, Target
from executor.model.probe import Check


@dataclass(frozen=True)
class Spread:
    """Services at risk beyond the target, over all trials.

    At risk is a service with a check that exercises the target, or of which nobody knows what it exercises. An edge's
    target is its callee: its caller is the first at risk.
    """

    hurt: frozenset[str]
    """One of their checks was hurt: also one that does not exercise the target, as where a pool is used up."""
    spared: frozenset[str]
    untold: frozenset[str]
    """Seen to be hurt in no trial; but in one they were not well before the fault, or they were hardly asked after."""

    @property
    def told(self) -> frozenset[str]:
        """Those of which the trials tell."""
        return self.hurt | self.spared


def spread(experiment: Experiment, trials: Sequence[Samples]) -> Spread:
    """How far it came, of trials that had the fault; without one nothing is told."""
    told, targets = [each for each in trials if each.trial.injected_s is not None], struck(experiment)
    beyond = [check for check in experiment.checks if check.service not in targets]
    exposed = [check for check in beyond if reaches(check, experiment)]
    at_risk = frozenset(check.service for check in exposed)
    lost = frozenset(c.service for c in beyond if c.service in at_risk and any(hurt(c, each) for each in told))
    unsure = frozenset(check.service for check in exposed if not _shows(check, told))
    return Spread(lost, at_risk - lost - unsure, unsure - lost)


def hurt(check: Check, samples: Samples) -> Impact | None:
    """What became of a check that a trial's fault hurt; ``None``: nothing, or it was not well before the fault."""
    seen = impact(check, samples)
    return None if seen.began_s is None or unwell(check, samples) else seen


def unwell(check: Check, samples: Samples) -> bool:
    """Whether a check showed no steady state before the fault, so that the fault cannot be what it lost it by."""
    slo = check.slo
    return not_well_before(check.id, [samples], slo.availability_min, slo.latency_ms_max, least=1) is not None


def _shows(check: Check, trials: Sequence[Samples]) -> bool:
    """Whether a check that was not hurt shows that it was spared: well before, and asked often enough afterwards."""
    watched = sum(impact(check, samples).watched for samples in trials)
    return watched >= ANSWERS_MIN and not any(unwell(check, samples) for samples in trials)


def struck(experiment: Experiment) -> frozenset[str]:
    """The services that an experiment's faults are made on; an edge's is its callee, groups have none."""
    return frozenset(s for action in experiment.actions if (s := _target(action.target)) is not None)


def _target(target: Target) -> str | None:
    if isinstance(target, InstanceTarget):
        return target.service
    return target.callee if isinstance(target, EdgeTarget) else None


def reaches(check: Check, experiment: Experiment) -> bool:
    """Whether a check may feel an experiment's faults: what it exercises is struck, or nobody knows what it does."""
    if check.exercises is None:
        return True
    return any(strikes(action.target, edge) for action in experiment.actions for edge in check.exercises)


def strikes(target: Target, edge: str) -> bool:
    """Whether a fault on ``target`` is felt by calls on ``edge`` (``caller->callee``)."""
    caller, _, callee = edge.partition("->")
    if isinstance(target, InstanceTarget):
        return target.service in (caller, callee)
    if isinstance(target, EdgeTarget):
        return (target.caller, target.callee) == (caller, callee)
    return (caller in target.a and callee in target.b) or (caller in target.b and callee in target.a)
