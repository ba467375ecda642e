"""What a caller does when calls fail: multiplies them, keeps sending them, or gives up at the first.

Calls are counted at the edge, so these need an edge on which calls can be counted.
"""

from __future__ import annotations

from typing import Any

from executor.measure.counters import COUNTED
from executor.measure.validators.circuit_breaker import FACTOR_MAX as BREAKER_FACTOR
from executor.measure.validators.retry_discipline import FACTOR_MAX as RETRY_FACTOR
from executor.model.criteria import CallsWithin, RecoversWithin, SteadyState
from executor.model.probe import Check
from executor.model.vocabulary import FaultType
from planner.recipes.case import Case, Judging, Unfit
from planner.recipes.manner import CUT_OFF, GONE, WAITING, WRONG, delay_ms
from planner.recipes.paths import Edge, best, exercises, names, struck_edges

AVAILABILITY_WITH_RETRY = 0.97
BASELINE_CALLS = 24
FAULT_CALLS = 40
"""With these, calls that go on as before are told from half of them with the 95 % interval of their ratio."""
RARE_ANSWERS = 64
"""Enough to tell 97 % from 85 % with its 95 % interval."""
LEAKED_CALLS = 120
"""If each failed call keeps a connection, a thread or a file, this empties the usual pools of 5 to 100."""
SETTLED_S = 3.0
"""Given to callers until what was under way when the fault ended is over."""
LATE_MS_MIN = 1000.0
"""A shorter delay may well be waited for."""


def retry_storm(case: Case) -> Judging | Unfit:
    """While the callee fails, the caller sends it at most three times the calls it sent before."""
    if case.type not in CUT_OFF | WRONG | GONE and delay_ms(case.fault) < LATE_MS_MIN:
        return Unfit("it takes a fault that makes every call fail, or wait for more than a second")
    return _counted(case, RETRY_FACTOR, f"at most {RETRY_FACTOR:g} times its usual calls")


def missing_circuit_breaker(case: Case) -> Judging | Unfit:
    """While the callee does not answer, the caller soon stops calling it."""
    if delay_ms(case.fault) < LATE_MS_MIN:
        return Unfit("it takes a fault that makes every call wait for more than a second")
    return _counted(case, BREAKER_FACTOR, "soon only the few calls that find out whether it is back")


def missing_retry(case: Case) -> Judging | Unfit:
    """A rare error on the edge does not reach the user, because the call is tried again."""
    if case.type is not FaultType.INTERMITTENT:
        return Unfit("it takes a fault that strikes only some of the calls")
    if case.edge is None:
        return Unfit("it is judged at an edge, caller->callee")
    fault: Any = case.fault
    if getattr(fault, "status", 500) < 500:
        return Unfit(f"a status {fault.status} is an answer that asking again would not change")
    caller, callee = case.edge
    chosen = best(case.witnesses(), caller, most=3)
    if not chosen:
        return Unfit(f"no operation is known to exercise {caller}->{callee}")
    slowest = min(check.rate_hz for check in chosen)
    return Judging(
        statement=f"rare errors between {caller} and {callee} do not reach users of {', '.join(names(chosen))}",
        criteria=(SteadyState(checks=names(chosen), availability_min=AVAILABILITY_WITH_RETRY),),
        exercised_by=(case.edge,),
        fault_s=min(12.0, max(6.0, round(RARE_ANSWERS / slowest, 1))),
    )


def resource_leak_under_failure(case: Case) -> Judging | Unfit:
    """After many failed calls, operations that never used the callee are served as before: nothing was kept of them.

    Those that use it say less here: they may fail for want of a connection (``does_not_reconnect``).
    """
    if case.type not in CUT_OFF | WRONG | WAITING:
        return Unfit("it takes a fault that makes every call fail, or wait")
    if case.edge is None:
        return Unfit("it is judged at an edge, caller->callee")
    caller, callee = case.edge
    driving = best(case.witnesses(), caller)
    struck = struck_edges(case.target, case.system)
    apart = best(
        (
            check
            for check in case.system.service(caller).operations
            if check.exercises is not None and not any(exercises(check, edge, case.system) for edge in struck)
        ),
        caller,
    )
    if not driving or not apart:
        return Unfit(f"{caller} has no two operations of which one uses {callee} and one is seen not to")
    return Judging(
        statement=f"{caller} serves {', '.join(names(apart))} as before once {callee} is well again, whatever failed",
        criteria=(RecoversWithin(checks=names(apart), within_s=SETTLED_S, since="reverted"),),
        drivers=names(driving),
        exercised_by=(case.edge,),
        fault_s=min(20.0, max(6.0, round(LEAKED_CALLS / sum(check.rate_hz for check in driving), 1))),
        recovery_s=2 * SETTLED_S,
    )


def _counted(case: Case, factor: float, expected: str) -> Judging | Unfit:
    if case.edge is None:
        return Unfit("it is judged at an edge, caller->callee")
    if not case.whole:
        return Unfit("another instance of it would still answer")
    uncounted = _uncounted(case, case.edge)
    if uncounted:
        return Unfit(uncounted)
    caller, callee = case.edge
    driving = best(case.witnesses(), caller)
    if not driving:
        return Unfit(f"no operation is known to exercise {caller}->{callee}")
    return Judging(
        statement=f"while {callee} fails, {caller} sends it {expected}",
        criteria=(CallsWithin(caller=caller, callee=callee, factor_max=factor),),
        drivers=names(driving),
        exercised_by=(case.edge,),
        baseline_s=_span(driving, BASELINE_CALLS, 2.0, 6.0),
        fault_s=_span(driving, FAULT_CALLS, 5.0, 10.0),
    )


def _uncounted(case: Case, edge: Edge) -> str:
    known = case.system.dependency(*edge)
    if known.protocol not in COUNTED:
        return f"calls on {known.place} cannot be counted: it is {known.protocol}, not HTTP"
    if known.interception is None or known.interception.kind != "managed_proxy":
        return f"calls on {known.place} cannot be counted before the fault: no managed proxy stands on it"
    return ""


def _span(driving: tuple[Check, ...], calls: int, least_s: float, most_s: float) -> float:
    return min(most_s, max(least_s, round(calls / sum(check.rate_hz for check in driving), 1)))
