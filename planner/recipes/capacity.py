"""What a service does with less than it is used to: it may get slower, and must not collapse."""

from __future__ import annotations

from executor.model.criteria import SteadyState
from executor.model.faults.service import Overload
from executor.model.vocabulary import FaultType
from experts.proposal import Beside
from planner.recipes.case import Case, Judging, Unfit
from planner.recipes.manner import GONE
from planner.recipes.paths import best, checks_of, feels, names
from planner.recipes.recovery import served_by

FILL_S = 1.5
"""Time for what waits to pile up."""
EJECT_S = 2.0
"""Time that callers get to leave the lost instance out."""
PRESSED = frozenset(
    {
        FaultType.STARVED_CPU,
        FaultType.STARVED_MEMORY,
        FaultType.STARVED_HANDLES,
        FaultType.STARVED_DISK,
        FaultType.CONNECTIONS_TAKEN,
        FaultType.SLOW,
        FaultType.SLUGGISH,
        FaultType.INTERMITTENT,
    }
)
"""It has more to do, or less to do it with."""


def capacity_cliff(case: Case) -> Judging | Unfit:
    """Pressed, a service serves on, however slowly, as long as its users wait for it."""
    if case.type in GONE | {FaultType.SILENT} and not case.whole and any(map(_is_load, case.beside)):
        return _fewer_with_more(case)
    if not case.strikes_place or case.type not in PRESSED:
        return Unfit("it takes a fault that gives the service itself more to do, or less to do it with")
    if not case.whole:
        return Unfit("another instance of it would still answer")
    chosen = served_by(case)
    if not chosen:
        return Unfit(f"no operation goes through {case.place}")
    return Judging(
        statement=f"{case.place} serves {', '.join(names(chosen))} on while it is pressed, if more slowly",
        criteria=(SteadyState(checks=names(chosen), after_s=FILL_S),),
        fault_s=FILL_S + max(4.0, round(20 / min(check.rate_hz for check in chosen), 1)),
    )


def _fewer_with_more(case: Case) -> Judging | Unfit:
    """The instances that are left carry more than usual without the lost one."""
    if not case.strikes_place:
        return Unfit("it takes an instance of the service itself")
    chosen = best((c for c in checks_of(case.system) if feels(c, case.target, case.system)), case.place)
    if not chosen:
        return Unfit(f"no operation goes through {case.place}")
    return Judging(
        statement=f"what is left of {case.place} serves {', '.join(names(chosen))} on, under more load than usual",
        criteria=(SteadyState(checks=names(chosen), after_s=EJECT_S + FILL_S),),
        fault_s=EJECT_S + FILL_S + max(4.0, round(20 / min(check.rate_hz for check in chosen), 1)),
    )


def _is_load(beside: Beside) -> bool:
    return isinstance(beside.fault, Overload)
