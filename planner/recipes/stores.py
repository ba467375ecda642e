"""Databases and caches: connections that waiting statements hold, and what stands behind an empty cache."""

from __future__ import annotations

from executor.model.criteria import DataKept, SteadyState
from executor.model.faults.data import Lock
from executor.model.vocabulary import FaultType
from planner.recipes.case import Case, Judging, Unfit
from planner.recipes.manner import GONE
from planner.recipes.paths import best, checks_of, exercises, feels, names

FILL_S = 1.5
"""Time for waiting statements to take the pool's connections."""
RECORDS_MIN = 12
"""Records that are to be acknowledged before the fault."""


def pool_exhaustion(case: Case) -> Judging | Unfit:
    """Operations on other tables keep working while statements on one table wait for a lock.

    At a service: it goes on serving while idle callers hold connections to it.
    """
    if case.type is FaultType.CONNECTIONS_TAKEN:
        return _idle_callers(case)
    if not isinstance(case.fault, Lock) or case.fault.rows is not None:
        return Unfit("it takes a lock on one of the tables, as a whole")
    if case.edge is None or case.edge[1] != getattr(case.target, "service", None):
        return Unfit("it is judged at an edge into the database whose table is locked")
    caller, callee = case.edge
    table = case.fault.table.rpartition(".")[2]
    own = [c for c in case.system.service(caller).operations if exercises(c, case.edge, case.system) and c.tables]
    waiting = [c for c in own if table in _plain(c.tables)]
    apart = best((c for c in own if table not in _plain(c.tables)), caller)
    if not waiting or not apart:
        return Unfit(f"{caller} has no two operations on {callee} of which one uses {table} and one is said not to")
    return Judging(
        statement=f"{caller} serves {', '.join(names(apart))} as ever while statements on {table} wait",
        criteria=(SteadyState(checks=names(apart), after_s=FILL_S),),
        drivers=names(best(waiting, caller)),
        exercised_by=(case.edge,),
        fault_s=FILL_S + max(3.5, round(20 / min(c.rate_hz for c in apart), 1)),
    )


def cold_cache_overload(case: Case) -> Judging | Unfit:
    """What stands behind the cache carries the load while the cache fills again."""
    if case.type is not FaultType.COLD:
        return Unfit("it takes a cache that has lost its keys")
    if case.edge is None:
        return Unfit("it is judged at an edge into the cache")
    caller, callee = case.edge
    chosen = best(case.witnesses(), caller)
    if not chosen:
        return Unfit(f"no operation speaks of {caller}->{callee} alone")
    return Judging(
        statement=f"{', '.join(names(chosen))} keep their promise while {callee} fills again for {caller}",
        criteria=tuple(SteadyState(checks=(c.id,), latency_ms_max=c.slo.latency_ms_max) for c in chosen),
        exercised_by=(case.edge,),
        fault_s=4.0,
    )


def inconsistent_after_crash(case: Case) -> Judging | Unfit:
    """What a service has acknowledged is there after it died, once each."""
    if case.service is None or not case.strikes_place:
        return Unfit("it is judged at the service that dies")
    if not case.service.data_checks:
        return Unfit(f"{case.place} declares no data check")
    if case.type not in GONE:
        return Unfit("it takes a fault that ends the service's process")
    felt = best((c for c in checks_of(case.system) if feels(c, case.target, case.system)), case.place)
    if not felt:
        return Unfit(f"no operation goes through {case.place}")
    kept = case.service.data_checks
    slowest = min(check.rate_hz for check in kept)
    return Judging(
        statement=f"{case.place} keeps all that it has acknowledged, once each, when an instance of it dies",
        criteria=tuple(DataKept(data_check=check.id) for check in kept),
        drivers=names(felt),
        baseline_s=max(3.0, round(RECORDS_MIN / slowest, 1)),
    )


def _idle_callers(case: Case) -> Judging | Unfit:
    if case.service is None or not case.strikes_place:
        return Unfit("it is judged at the service whose connections are taken")
    chosen = best(case.service.operations, case.place)
    if not chosen or not case.whole:
        return Unfit(f"no operation of {case.place} has to go through the struck instance")
    return Judging(
        statement=f"{case.place} serves {', '.join(names(chosen))} while idle callers hold connections to it",
        criteria=(SteadyState(checks=names(chosen), after_s=FILL_S),),
        fault_s=FILL_S + 4.0,
    )


def _plain(tables: tuple[str, ...]) -> set[str]:
    return {table.rpartition(".")[2] for table in tables}
