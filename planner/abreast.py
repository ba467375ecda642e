"""Experiments that may run side by side: neither can be felt by what the other judges, and the limits bear both."""

from __future__ import annotations

from collections.abc import Sequence

from executor.model.digest import UNREAD
from executor.model.plan import AbortCondition, Experiment, Plan, Stage
from executor.model.probe import Check
from executor.model.system import System
from executor.safety.limits import Limits
from executor.safety.rules import refusals
from planner.recipes.paths import feels, may_suffer
from planner.worth import STICKY, stickiness

ABREAST_MAX = 2
"""More at once would load a small host enough for each to be felt by the other through the processor alone."""


def abreast(
    stage: Sequence[Experiment], experiment: Experiment, system: System, limits: Limits
) -> tuple[Experiment, ...] | None:
    """The stage with one more, each without the bystanders that another would disturb; ``None`` if that may not be.

    At most one of them may be hard to undo.
    """
    together = (*stage, experiment)
    if len(together) > ABREAST_MAX or sum(stickiness(each) >= STICKY for each in together) > 1:
        return None
    if any(_disturbed(one, other, system) for one in together for other in together if one is not other):
        return None
    apart = tuple(_without_disturbed(one, [e for e in together if e is not one], system) for one in together)
    return None if refusals(_alone(apart, system), system, limits) else apart


def _disturbed(one: Experiment, other: Experiment, system: System) -> bool:
    """Whether what ``one`` judges, or loads its target with, may suffer from ``other``."""
    judged = {c for criterion in one.criteria for c in getattr(criterion, "checks", ())}
    core = [check for check in one.checks if check.id in judged or _felt(check, one, system)]
    return any(_suffers(check, other, system) for check in core)


def _without_disturbed(one: Experiment, others: Sequence[Experiment], system: System) -> Experiment:
    kept = tuple(check for check in one.checks if not any(_suffers(check, other, system) for other in others))
    ids = {check.id for check in kept}
    conditions: tuple[AbortCondition, ...] = () if one.abort_conditions == "none" else one.abort_conditions
    left = tuple(condition for condition in conditions if condition.check in ids)
    return Experiment.model_validate({**one.model_dump(), "checks": kept, "abort_conditions": left or "none"})


def _felt(check: Check, experiment: Experiment, system: System) -> bool:
    return any(feels(check, action.target, system) for action in experiment.actions)


def _suffers(check: Check, experiment: Experiment, system: System) -> bool:
    return any(may_suffer(check, action.target, system) for action in experiment.actions)


def _alone(experiments: tuple[Experiment, ...], system: System) -> Plan:
    return Plan(
        id="abreast",
        system_name=system.name,
        system_digest=UNREAD,
        environment=system.environment,
        proposer="abreast",
        stages=(Stage(experiments=experiments),),
    )
