"""What one instance less does: single points of failure, and balancers that go on using a dead member."""

from __future__ import annotations

from executor.model.criteria import SteadyState
from executor.model.plan import InstanceTarget
from executor.model.vocabulary import FaultType
from planner.recipes.case import Case, Judging, Unfit
from planner.recipes.manner import GONE
from planner.recipes.paths import best, checks_of, feels, names, witnesses

EJECT_S = 2.0
"""Time that a balancer gets to notice a dead member."""
SERVED_MIN = 0.95


def load_balancer_keeps_dead_member(case: Case) -> Judging | Unfit:
    """With one member not answering, callers of the balancer are soon served by the others."""
    balancer = case.place.partition("->")[0]
    target = case.target
    if not isinstance(target, InstanceTarget) or case.type not in GONE | {FaultType.SILENT}:
        return Unfit("it takes one member that is stopped or hangs")
    edge = (balancer, target.service)
    if edge not in {(d.caller, d.callee) for d in case.system.dependencies}:
        return Unfit(f"{target.service} is not behind {balancer}")
    if case.whole:
        return Unfit(f"no other member of {target.service} would be left to answer")
    if case.type in GONE and case.system.service(target.service).restarts == "supervised":
        return Unfit("its supervisor would have the member back before the balancer is tried; let it hang instead")
    chosen = best(witnesses(edge, target, case.system), target.service)
    if not chosen:
        return Unfit(f"no operation goes through {balancer} to {target.service} and no other way there")
    return Judging(
        statement=f"{balancer} sends nobody to a member of {target.service} that does not answer",
        criteria=(SteadyState(checks=names(chosen), after_s=EJECT_S, availability_min=SERVED_MIN),),
        exercised_by=(edge,),
        fault_s=EJECT_S + max(4.0, round(24 / min(c.rate_hz for c in chosen), 1)),
    )


def single_point_of_failure(case: Case) -> Judging | Unfit:
    """Critical operations survive the loss of one instance of the service."""
    if not case.strikes_place or case.type not in GONE | {FaultType.SILENT}:
        return Unfit("it takes an instance of the service itself that stops or hangs")
    critical = [c for c in checks_of(case.system) if c.critical and feels(c, case.target, case.system)]
    if not critical:
        return Unfit(f"no critical operation goes through {case.place}")
    chosen = best(critical, case.place)
    return Judging(
        statement=f"{', '.join(names(chosen))} survive the loss of an instance of {case.place}",
        criteria=(SteadyState(checks=names(chosen)),),
        fault_s=6.0,
    )
