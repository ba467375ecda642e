"""How far a fault spread beyond its target."""

from __future__ import annotations

from collections.abc import Sequence

from executor.measure.impact import impact
from executor.measure.samples import Samples
from executor.model.plan import EdgeTarget, Experiment, InstanceTarget, Target
from executor.model.probe import Check


def spread(experiment: Experiment, trials: Sequence[Samples]) -> tuple[frozenset[str], frozenset[str]]:
    """(services whose checks were hurt, services at risk), both beyond the target, over all trials.

    At risk is a service with a check that exercises the target, or of which nobody knows what it exercises. An edge's
    target is its callee: its caller is the first at risk.
    """
    targets = struck(experiment)
    at_risk = [c for c in experiment.checks if c.service not in targets and reaches(c, experiment)]
    hurt = {c.service for samples in trials for c in at_risk if impact(c, samples).began_s is not None}
    return frozenset(hurt), frozenset(check.service for check in at_risk)


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
