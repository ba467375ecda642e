"""What a service does with less than it is used to: it may get slower, and must not collapse."""

from __future__ import annotations

from executor.model.criteria import SteadyState
from executor.model.vocabulary import FaultType
from planner.recipes.case import Case, Judging, Unfit
from planner.recipes.paths import names
from planner.recipes.recovery import served_by

FILL_S = 1.5
"""Time for what waits to pile up."""
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
