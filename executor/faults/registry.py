"""Every fault that can be made: one line each. Standard library and behaviours only: the watchdog loads it."""

from __future__ import annotations

from executor.errors import InputError
from executor.faults.behaviour import Behaviour
from executor.faults.data.cache_flush import CacheFlush
from executor.faults.data.connection_failure import ConnectionFailure
from executor.faults.data.lock import Lock
from executor.faults.network.latency import Latency
from executor.faults.network.partition import Partition
from executor.faults.network.reset import Reset
from executor.faults.resource.connections import Connections
from executor.faults.resource.cpu import Cpu
from executor.faults.resource.memory import Memory
from executor.faults.service.corrupt_response import CorruptResponse
from executor.faults.service.crash import Crash
from executor.faults.service.dependency_failure import DependencyFailure
from executor.faults.service.error import Error
from executor.faults.service.hang import Hang
from executor.faults.service.slowdown import Slowdown
from executor.faults.service.stop import Stop
from executor.faults.service.timeout import Timeout

BEHAVIOURS: tuple[Behaviour, ...] = (
    Crash(),
    Stop(),
    Hang(),
    Slowdown(),
    Cpu(),
    Memory(),
    Connections(),
    CacheFlush(),
    Lock(),
    ConnectionFailure(),
    Error(),
    Timeout(),
    CorruptResponse(),
    DependencyFailure(),
    Latency(),
    Reset(),
    Partition(),
)


def by_kind(behaviours: tuple[Behaviour, ...]) -> dict[str, Behaviour]:
    """Behaviours by the kind of fault they make. Raises ``ValueError`` if two make the same."""
    table: dict[str, Behaviour] = {}
    for one in behaviours:
        if one.kind in table:
            raise ValueError(f"two behaviours make {one.kind}")
        table[one.kind] = one
    return table


_TABLE = by_kind(BEHAVIOURS)


def behaviour(kind: str) -> Behaviour:
    """How a kind of fault is made and undone. Raises ``InputError`` naming the known kinds."""
    try:
        return _TABLE[kind]
    except KeyError:
        raise InputError(f"no fault {kind!r} is known.", hint=f"Known are {', '.join(sorted(_TABLE))}.") from None
