"""Other faults by which a weakness at a place could be looked for: those that some recipe can judge there."""

from __future__ import annotations

from collections.abc import Iterator

from executor.model.faults import Fault
from executor.model.faults.data import CacheFlush, ConnectionFailure, Lock
from executor.model.faults.network import Latency, Reset
from executor.model.faults.resource import Connections
from executor.model.faults.service import CorruptResponse, Crash, DependencyFailure, Error, Hang, Timeout
from executor.model.plan import EdgeTarget, InstanceTarget, Target
from executor.model.system import System
from executor.model.vocabulary import Weakness
from planner.recipes.case import Case, Judging
from planner.recipes.table import judging

_ON_EDGES: tuple[Fault, ...] = (
    DependencyFailure(mode="refuse"),
    DependencyFailure(mode="blackhole"),
    Latency(delay_ms=3000),
    Reset(),
)
_ON_HTTP: tuple[Fault, ...] = (
    Timeout(),
    Error(status=503),
    Error(status=404),
    CorruptResponse(),
    Error(status=503, probability=0.15),
)
_ON_GRPC: tuple[Fault, ...] = (
    Timeout(),
    Error(grpc_status="UNAVAILABLE"),
    Error(grpc_status="NOT_FOUND"),
    Error(grpc_status="UNAVAILABLE", probability=0.15),
)
_ANSWERED: dict[str, tuple[Fault, ...]] = {"http": _ON_HTTP, "grpc": _ON_GRPC}
"""Only a proxy that understands the protocol can answer in the callee's place."""
_ON_INSTANCES: tuple[Fault, ...] = (Crash(), Hang(), Connections(count=50), ConnectionFailure(), CacheFlush())


def alternatives(weakness: Weakness, place: str, system: System) -> tuple[Fault, ...]:
    """One fault of each sort that would tell something about the weakness at the place, in a fixed order."""
    return tuple(dict.fromkeys(fault for fault, _ in tries(weakness, place, system)))


def tries(weakness: Weakness, place: str, system: System) -> Iterator[tuple[Fault, Target]]:
    """The same, each with what it would strike."""
    for fault, target in _tries(place, system):
        if isinstance(judging(Case(system, weakness, place, fault, target)), Judging):
            yield fault, target


def _tries(place: str, system: System) -> Iterator[tuple[Fault, Target]]:
    caller, _, callee = place.partition("->")
    for edge in system.dependencies:
        if edge.caller == caller and callee in ("", edge.callee):
            for fault in (*_ON_EDGES, *_ANSWERED.get(edge.protocol, ())):
                yield fault, EdgeTarget(caller=edge.caller, callee=edge.callee)
    for service in system.services:
        if service.name != (callee or caller):
            continue
        for fault in (*_ON_INSTANCES, *(Lock(table=table) for table in service.tables)):
            yield fault, InstanceTarget(service=service.name)
