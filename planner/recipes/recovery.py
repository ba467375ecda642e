"""Whether things come back: instances that died, and callers whose dependency is well again."""

from __future__ import annotations

from typing import Literal

from executor.measure.validators.unaided_recovery import WITHIN_S as RESTART_S
from executor.model.criteria import RecoversWithin
from executor.model.faults.infrastructure import Storage
from executor.model.faults.service import RestartLoop
from executor.model.probe import Check
from executor.model.vocabulary import FaultType
from planner.recipes.case import Case, Judging, Unfit
from planner.recipes.manner import CUT_OFF, GONE
from planner.recipes.paths import best, checks_of, exercises, feels, names

RECONNECT_S = 3.0
"""What a caller is given to use its dependency again."""
WATCH_S = 1.5
"""The judge needs this long past a limit to say that it was missed."""


UNWELL = frozenset(
    {
        FaultType.STARVED_DISK,
        FaultType.STARVED_HANDLES,
        FaultType.STARVED_MEMORY,
        FaultType.CONNECTIONS_TAKEN,
        FaultType.CLOCK_WRONG,
        FaultType.MISCONFIGURED,
    }
)
"""It runs, and lacks what it needs, or is misled."""
UNWELL_S = 5.0


def slow_or_missing_recovery(case: Case) -> Judging | Unfit:
    """A service whose instance died serves again, unaided, within seconds; one that lacked something, once it has it.

    One that is killed again and again is given its time from the last of it.
    """
    unwell = case.type in UNWELL or isinstance(case.fault, Storage)
    if not case.strikes_place or not (unwell or case.type in GONE):
        return Unfit("it takes an instance of the service itself that dies, or lacks what it needs")
    if not case.whole:
        return Unfit("another instance answers meanwhile, so from outside its recovery cannot be seen")
    chosen = served_by(case)
    if not chosen:
        return Unfit(f"no operation goes through {case.place}")
    if unwell or isinstance(case.fault, RestartLoop):
        return _well_again(case, chosen)
    return Judging(
        statement=f"{case.place} is back within {RESTART_S:g} s after an instance of it died, without help",
        criteria=(_back(case, chosen, "injected"),),
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


def served_by(case: Case) -> tuple[Check, ...]:
    """The operations that tell most of the struck service: its own, or else those that need it."""
    own = [c for c in checks_of(case.system) if c.service == case.place]
    through = [c for c in checks_of(case.system) if feels(c, case.target, case.system) and _needs(c.needs, case.place)]
    return best(own or through, case.place)


def _back(case: Case, chosen: tuple[Check, ...], since: Literal["injected", "reverted"]) -> RecoversWithin:
    """By operations of others, one of them is enough: a page stays broken where a caller between does not reconnect."""
    own = all(check.service == case.place for check in chosen)
    return RecoversWithin(checks=names(chosen), within_s=RESTART_S, since=since, of="all" if own else "any")


def _well_again(case: Case, chosen: tuple[Check, ...]) -> Judging:
    again = isinstance(case.fault, RestartLoop)
    after = "it is killed no more" if again else "it has what it lacked"
    return Judging(
        statement=f"{case.place} serves again within {RESTART_S:g} s once {after}, without help",
        criteria=(_back(case, chosen, "reverted"),),
        fault_s=case.fault.every_s * (case.fault.times - 1) + 1 if isinstance(case.fault, RestartLoop) else UNWELL_S,
        recovery_s=RESTART_S + 2 * WATCH_S,
    )


def stale_name_resolution(case: Case) -> Judging | Unfit:
    """Once look-ups give the callee's own address again, the caller uses it again, unaided, within seconds."""
    if case.type is not FaultType.UNRESOLVED:
        return Unfit("it takes a fault that spoils look-ups of names")
    if case.edge is None or getattr(case.target, "service", None) != case.edge[0]:
        return Unfit("it is judged at an edge, and strikes the look-ups of its caller")
    if not case.whole:
        return Unfit("another instance of it would still answer")
    caller, callee = case.edge
    chosen = best((c for c in checks_of(case.system) if exercises(c, case.edge, case.system)), caller)
    if not chosen:
        return Unfit(f"no operation is known to exercise {caller}->{callee}")
    return Judging(
        statement=f"{caller} uses {callee} again within {RECONNECT_S:g} s after its name leads there again",
        criteria=(RecoversWithin(checks=names(chosen), within_s=RECONNECT_S, since="reverted"),),
        exercised_by=(case.edge,),
        fault_s=UNWELL_S,
        recovery_s=RECONNECT_S + 2 * WATCH_S,
    )


def _needs(needs: tuple[str, ...] | None, service: str) -> bool:
    return needs is None or service in needs
