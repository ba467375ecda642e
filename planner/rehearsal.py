"""What an experiment would do to a system, foreseen from who calls whom. A prediction that goes too far is a refusal.

This first form knows the topology and the operators' word on what needs what; it does not simulate time.
"""

from __future__ import annotations

from executor.model.digest import digest
from executor.model.plan import Experiment, Plan, Stage
from executor.model.system import System
from executor.safety.limits import Limits
from executor.safety.rules import refusals
from planner.recipes.paths import checks_of, feels, struck_edges


def rehearse(experiment: Experiment, system: System, limits: Limits) -> tuple[str, ...]:
    """Why the experiment may not be tried, each in one clause; empty: nothing speaks against it."""
    alone = Plan(
        id="rehearsal",
        system_name=system.name,
        system_digest=digest(system),
        environment=system.environment,
        proposer="rehearsal",
        stages=(Stage(experiments=(experiment,)),),
    )
    broken = [f"{r.measured}, and the limit is {r.limit} ({r.rule})" for r in refusals(alone, system, limits)]
    hurt = sorted(expected_hurt(experiment, system) & _protected(system, limits))
    return (*broken, *(f"it would stop {name}, which is protected, from serving" for name in hurt))


def expected_hurt(experiment: Experiment, system: System) -> frozenset[str]:
    """Services with an operation that feels the fault, and needs what is struck or does not say what it needs."""
    hurt = set()
    for action in experiment.actions:
        lost = {callee for _, callee in struck_edges(action.target, system)}
        for check in checks_of(system):
            if feels(check, action.target, system) and (check.needs is None or lost & set(check.needs)):
                hurt.add(check.service)
    return frozenset(hurt)


def _protected(system: System, limits: Limits) -> frozenset[str]:
    return frozenset((*limits.protected_services, *(s.name for s in system.services if s.protected)))
