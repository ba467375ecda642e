"""Whether things come back: instances that died, and callers whose dependency is well again."""

from __future__ import annotations

from executor.model.criteria import RecoversWithin
from executor.model.vocabulary import FaultType
from planner.recipes.case import Case, Judging, Unfit
from planner.recipes.manner import CUT_OFF, GONE
from planner.recipes.paths import best, checks_of, feels, names

RESTART_S = 4.0
"""What a process that died is given to be back and serving."""
RECONNECT_S = 3.0
"""What a caller is given to use its dependency again."""
WATCH_S = 1.5
"""The judge needs this long past a limit to say that it was missed."""


def slow_or_missing_recovery(case: Case) -> Judging | Unfit:
    """A service whose instance died serves again, unaided, within seconds."""
    if not case.strikes_place or case.type not in GONE:
        return Unfit("it takes an instance of the service itself that dies")
    if not case.whole:
        return Unfit("another instance answers meanwhile, so from outside its recovery cannot be seen")
    own = [c for c in checks_of(case.system) if c.service == case.place]
    through = [c for c in checks_of(case.system) if feels(c, case.target, case.system) and _needs(c.needs, case.place)]
    chosen = best(own or through, case.place)
    if not chosen:
        return Unfit(f"no operation goes through {case.place}")
    return Judging(
        statement=f"{case.place} is back within {RESTART_S:g} s after an instance of it died, without help",
        criteria=(RecoversWithin(checks=names(chosen), within_s=RESTART_S, since="injected"),),
        fault_s=RESTART_S + WATCH_S,
        recovery_s=8.0,
    )


def does_not_reconnect(case: Case) -> Judging | Unfit:
    """Once the callee can be reached again, the caller uses it again, unaided, within seconds."""
    if case.type in GONE:
        return Unfit(
            "the time that the process takes to start would be counted against its caller; cut the calls instead"
        )
    if case.type not in CUT_OFF | {FaultType.SILENT}:
        return Unfit("it takes a fault that cuts calls off, or leaves them waiting")
    if case.edge is None:
        return Unfit("it is judged at an edge, caller->callee")
    caller, callee = case.edge
    chosen = best(case.witnesses(), caller)
    if not chosen:
        return Unfit(f"no operation speaks of {caller}->{callee} alone")
    return Judging(
        statement=f"{caller} uses {callee} again within {RECONNECT_S:g} s after it is back",
        criteria=(RecoversWithin(checks=names(chosen), within_s=RECONNECT_S, since="reverted"),),
        exercised_by=(case.edge,),
        fault_s=4.0,
        recovery_s=RECONNECT_S + 2 * WATCH_S,
    )


def _needs(needs: tuple[str, ...] | None, service: str) -> bool:
    return needs is None or service in needs
