"""Whether the system itself notices."""

from __future__ import annotations

from executor.model.criteria import DetectedWithin
from executor.model.plan import InstanceTarget
from executor.model.vocabulary import FaultType
from planner.recipes.case import Case, Judging, Unfit
from planner.recipes.manner import CUT_OFF, GONE, WRONG
from planner.recipes.paths import best, feels, names, struck_edges

NOTICE_S = 3.0
FAILING = GONE | CUT_OFF | WRONG | {FaultType.SILENT, FaultType.LOCKED}


def detection_blind_spot(case: Case) -> Judging | Unfit:
    """While users of the service are failed, its own signal says so."""
    service = case.service
    if service is None:
        return Unfit("it is judged at a service")
    signals = [signal for signal in service.signals if signal.instance is None]
    if not signals:
        return Unfit(f"{service.name} declares no detection signal")
    if case.type not in FAILING:
        return Unfit("it takes a fault that makes the service fail its users")
    if case.type in GONE and _comes_back(case):
        return Unfit("its supervisor would have it back before a signal has to say so; let it hang instead")
    own = case.strikes_place
    if own and not case.whole:
        return Unfit("another instance of it would still answer")
    if own and case.type is FaultType.SILENT:
        return Unfit("its own signal would only fall silent, which tells whoever asks it no less than a report")
    lost = [edge for edge in struck_edges(case.target, case.system) if edge[0] == service.name]
    if not own and not lost:
        return Unfit(f"the fault strikes neither {service.name} nor what it calls")
    chosen = best((c for c in service.operations if feels(c, case.target, case.system)), service.name)
    if not chosen:
        return Unfit(f"no operation of {service.name} would feel it")
    return Judging(
        statement=f"{signals[0].id} reports {service.name} within {NOTICE_S:g} s while its users are failed",
        criteria=tuple(DetectedWithin(signal=signal.id, within_s=NOTICE_S) for signal in signals[:1]),
        drivers=names(chosen),
        exercised_by=() if own else tuple(lost),
        signals=tuple(signal.id for signal in signals[:1]),
        fault_s=2 * NOTICE_S + 1,
    )


def _comes_back(case: Case) -> bool:
    target = case.target
    return isinstance(target, InstanceTarget) and case.system.service(target.service).restarts == "supervised"
