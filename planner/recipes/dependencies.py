"""What should be able to do without: hard dependencies, and answers that fail whole because a part of them did."""

from __future__ import annotations

from executor.model.criteria import SteadyState
from planner.recipes.case import Case, Judging, Unfit
from planner.recipes.manner import CUT_OFF, GONE, WRONG
from planner.recipes.paths import best, names, soft

FAULT_S = 5.0


def hard_dependency(case: Case) -> Judging | Unfit:
    """Operations that do not need the callee keep working when it fails at once.

    A callee that fails slowly is left to ``missing_timeout``: it hurts callers that would do without it well enough.
    """
    if case.type in GONE and _comes_back(case):
        return Unfit("its supervisor would have it back before much was seen; fail the calls to it instead")
    if case.type not in GONE | CUT_OFF | WRONG:
        return Unfit("it takes a fault that fails calls at once; a slow one would show a missing timeout instead")
    return _soft_ones_keep_working(case, "fails")


def no_graceful_degradation(case: Case) -> Judging | Unfit:
    """Operations that do not need the callee keep working when its answers come damaged."""
    if case.type not in WRONG:
        return Unfit("it takes a fault that damages answers or turns them into errors")
    return _soft_ones_keep_working(case, "answers wrongly")


def _soft_ones_keep_working(case: Case, fails: str) -> Judging | Unfit:
    if case.edge is None:
        return Unfit("it is judged at an edge, caller->callee")
    if not case.whole:
        return Unfit("another instance of it would still answer")
    caller, callee = case.edge
    chosen = best(soft(case.witnesses(), callee, case.system), caller)
    if not chosen:
        return Unfit(f"no operation that uses {caller}->{callee} is said to work without {callee}")
    return Judging(
        statement=f"{_listed(names(chosen))} keeps working while {callee} {fails} for {caller}",
        criteria=(SteadyState(checks=names(chosen)),),
        exercised_by=(case.edge,),
        fault_s=FAULT_S,
    )


def _comes_back(case: Case) -> bool:
    return case.edge is not None and case.system.service(case.edge[1]).restarts == "supervised"


def _listed(checks: tuple[str, ...]) -> str:
    return checks[0] if len(checks) == 1 else f"each of {', '.join(checks)}"
