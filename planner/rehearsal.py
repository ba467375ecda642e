"""What an experiment would do to a system, foreseen from who calls whom. A prediction that goes too far is a refusal.

``rehearse`` knows the topology and the operators' word on what needs what, and always says the same; ``too_far`` reads
what the twin foresees, with time-outs, tries, threads and what is believed of weaknesses.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from executor.drivers.resolve import everyone, resolve
from executor.drivers.targets import ResolvedInstance
from executor.errors import MurphyError, SafetyRefusalError
from executor.model.digest import UNREAD
from executor.model.plan import Experiment, Plan, Stage
from executor.model.system import System
from executor.model.vocabulary import Scope
from executor.safety.limits import Limits
from executor.safety.neighbours import look, refuse_strangers
from executor.safety.rules import refusals
from knowledge.twin.rehearsal import Rehearsal
from planner.recipes.paths import checks_of, feels, struck_edges

CASCADE_MAX = 0.5
"""P(a cascade that the guard would end) from which on an experiment is not tried: it would mostly be cut short."""
_LOOKED: Final = {Scope.MACHINE, Scope.NETWORK, Scope.VOLUME, Scope.DIRECTORY, Scope.SERVER, Scope.SETTINGS}
"""Reaches of which it shows only at the targets who shares them."""


def rehearse(
    experiment: Experiment, system: System, limits: Limits, every: Sequence[ResolvedInstance] | None = None
) -> tuple[str, ...]:
    """Why the experiment may not be tried, each in one clause; empty: nothing speaks against it.

    With ``every`` instance of the system that is there, what would be struck along with its targets is looked for, as
    before a run.
    """
    alone = Plan(
        id="rehearsal",
        system_name=system.name,
        system_digest=UNREAD,
        environment=system.environment,
        proposer="rehearsal",
        stages=(Stage(experiments=(experiment,)),),
    )
    found = refusals(alone, system, limits)
    if every is not None and not found and any(_LOOKED & {*a.fault.reaches()} for a in experiment.actions):
        found = _seen(alone, system, limits, every)
    broken = [f"{r.measured}, and the limit is {r.limit} ({r.rule})" for r in found]
    hurt = sorted(expected_hurt(experiment, system) & _protected(system, limits))
    return (*broken, *(f"it would stop {name}, which is protected, from serving" for name in hurt))


def too_far(rehearsal: Rehearsal, system: System, limits: Limits) -> tuple[str, ...]:
    """Why what the twin foresees of an experiment is more than the limits allow, each in one clause; empty: it is not.

    A protected service may be expected to lose as little of its work as by the rule on protected impact; and it may not
    be likely that more services leave their steady state, of which nobody speaks, than the guard bears.
    """
    allowed = limits.blast_radius.protected_impact_percent
    protected = _protected(system, limits)
    hurt = [
        f"the twin foresees that {name}, which is protected, loses {100 * lost:.3g} % of its work, and the limit is "
        f"{allowed:g} % (protected_impact_percent)"
        for name, lost in rehearsal.loss
        if name in protected and 100 * lost > allowed
    ]
    most = limits.guard.unplanned_services_max
    chance = rehearsal.more_unplanned_than(most)
    spread = (
        f"the twin foresees, with {chance:.0%}, that more than {most} services leave their steady state of which no "
        "hypothesis speaks, and the guard would end it (unplanned_services_max)"
    )
    return (*hurt, *((spread,) if chance >= CASCADE_MAX else ()))


def running(system: System) -> list[ResolvedInstance] | None:
    """Every instance that is there; ``None`` where that cannot be told, which the preflight will not bear."""
    try:
        return everyone(system)
    except MurphyError:
        return None


def _seen(plan: Plan, system: System, limits: Limits, every: Sequence[ResolvedInstance]) -> list[SafetyRefusalError]:
    """What the rules say once the targets' neighbours are known; nothing where the targets are not there now."""
    try:
        targets = {action.id: resolve(action.target, system) for action in plan.actions}
        beside = look(plan.actions, targets, system, every=every)
        refuse_strangers(beside, limits)
    except SafetyRefusalError as refusal:
        return [refusal]
    except MurphyError:
        return []
    return refusals(plan, system, limits, beside.also)


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
