"""What makes an experiment harder than one fault under the usual load: more requests at once, and a second fault."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ValidationError

from executor.model.criteria import CallsWithin
from executor.model.faults import Fault
from executor.model.faults.service import Overload
from executor.model.plan import InstanceTarget, Target
from executor.model.probe import READING, Check, HttpProbe
from executor.model.system import System
from executor.model.vocabulary import FaultType, Verdict, Weakness
from experts.brief import Brief
from experts.past import at_place
from experts.proposal import Beside
from planner.recipes.case import Judging
from planner.recipes.manner import delay_ms
from planner.recipes.paths import Edge, checks_of, exercises, struck_edges, struck_whole
from planner.watch import RATE_MAX_HZ

LATE = (FaultType.SLOW, FaultType.SLUGGISH)
SERVED = (Weakness.HARD_DEPENDENCY, Weakness.NO_GRACEFUL_DEGRADATION, Weakness.MISSING_TIMEOUT)
"""Of these a ``holds`` says that users were served, or answered in time, under the fault."""
WAIT_S_MAX = 5.0
"""An answer that never comes is waited for at least so long, as far as load is reckoned."""


def pressed(
    checks: tuple[Check, ...], concurrency: int, fault: Fault, target: Target, system: System
) -> tuple[Check, ...]:
    """The checks, those that cross what is struck asked so often that ``concurrency`` of them wait at once.

    By Little's law: rate × wait. As far as all checks together stay bearable; nothing that may write is asked more
    often than its owner says, and a fault that keeps nobody waiting can pile up nothing.
    """
    wait_s = min(delay_ms(fault) / 1000, WAIT_S_MAX)
    edges = struck_edges(target, system)
    across = [c for c in checks if _reads(c) and any(exercises(c, edge, system) for edge in edges)]
    if not concurrency or not wait_s or not across:
        return checks
    has_hz = sum(check.rate_hz for check in across)
    spare_hz = max(0.0, RATE_MAX_HZ - sum(check.rate_hz for check in checks))
    scale = min(concurrency / wait_s, has_hz + spare_hz) / has_hz
    if scale <= 1:
        return checks
    faster = {check.id: round(check.rate_hz * scale, 2) for check in across}
    return tuple(
        Check.model_validate({**check.model_dump(), "rate_hz": faster.get(check.id, check.rate_hz)}) for check in checks
    )


def drowned(beside: Sequence[Beside], judging: Judging, brief: Brief) -> str:
    """Why a second fault alone could make a judged operation fail, in one clause; empty: it should be borne.

    Load is meant to be borne, and so is the loss of one instance of several. What an operation may need must not be
    struck besides, nor late for longer than its caller is said to wait. What it can do without by its owner's word is
    taken from it only once it was seen to do without: else a fallback that is missing there would be laid to the first
    fault's place.
    """
    system = brief.system
    judged = {name for criterion in judging.criteria for name in getattr(criterion, "checks", ())}
    checks = [check for check in checks_of(system) if check.id in judged]
    for each in beside:
        if isinstance(each.fault, Overload) and any(isinstance(c, CallsWithin) for c in judging.criteria):
            return "calls are counted, and load would add to them"
        if isinstance(each.fault, Overload) or not struck_whole(each.target, system):
            continue
        lost = {callee for _, callee in struck_edges(each.target, system)}
        if isinstance(each.target, InstanceTarget):
            lost.add(each.target.service)
        for check in checks:
            if (check.needs is None or lost & {*check.needs, check.service}) and not _waited_for(each, system):
                return f"{check.id} may need {', '.join(sorted(lost))}, which would be struck at the same time"
        for edge in struck_edges(each.target, system):
            if any(exercises(check, edge, system) for check in checks) and not _borne_alone(each, edge, brief):
                return f"nobody has seen yet that {edge[0]} bears it alone when {edge[1]} fails so; that is tried first"
    return ""


def _waited_for(beside: Beside, system: System) -> bool:
    """Whether callers are said to wait for an answer that is so late."""
    if beside.fault.looks() not in LATE:
        return False
    known = [system.dependency(*edge).timeout_ms for edge in struck_edges(beside.target, system)]
    return all(ms is not None and delay_ms(beside.fault) < ms for ms in known)


def _borne_alone(beside: Beside, edge: Edge, brief: Brief) -> bool:
    """Whether users were seen to be served under this type of fault alone, and never failed for the edge's sake."""
    if _waited_for(beside, brief.system):
        return True
    held = False
    for weakness in SERVED:
        for past in at_place(brief, weakness, f"{edge[0]}->{edge[1]}"):
            if past.verdict is Verdict.BREAKS:
                return False  # whatever it broke under: somebody fails there
            held = held or (past.verdict is Verdict.HOLDS and past.types == (beside.fault.looks().value,))
    return held


def aimed(fault: Fault, target: Target, system: System) -> Fault:
    """Load that does not say what it asks for asks for what users ask the service for, where that only reads."""
    if not isinstance(fault, Overload) or fault.path != "/" or not isinstance(target, InstanceTarget):
        return fault
    own = [check for check in system.service(target.service).operations if _reads(check)]
    for check in sorted(own, key=lambda c: ("?" in _path(c), -len(c.exercises or ()), -c.rate_hz, c.id)):
        try:
            return Overload.model_validate({**fault.model_dump(), "path": _path(check)})
        except ValidationError:  # not an address that load may be sent to, for what it holds
            continue
    return fault


def _reads(check: Check) -> bool:
    return isinstance(check.probe, HttpProbe) and check.probe.method in READING


def _path(check: Check) -> str:
    assert isinstance(check.probe, HttpProbe)
    return check.probe.asks_for
