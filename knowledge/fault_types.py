"""What a fault looks like to those who meet it: the type that decides which weaknesses it can reveal."""

from __future__ import annotations

from enum import StrEnum

from executor.model.faults import Fault
from executor.model.faults.base import FaultSpec
from executor.model.faults.data import CacheFlush, ConnectionFailure, Lock
from executor.model.faults.network import Latency, Partition, Reset
from executor.model.faults.resource import Connections, Cpu, Memory
from executor.model.faults.service import (
    CorruptResponse,
    Crash,
    DependencyFailure,
    Error,
    Hang,
    HttpMatch,
    Slowdown,
    Stop,
    Timeout,
)

SLOW_MS = 1000.0
"""A delay from here on is ``slow``: longer than most time-outs that are set with care; below it is ``sluggish``."""


class FaultType(StrEnum):
    """Types told apart by what a caller sees, since a place that stands one may not stand another."""

    DEAD = "dead"
    STOPPED = "stopped"
    REFUSED = "refused"
    SILENT = "silent"
    SLOW = "slow"
    SLUGGISH = "sluggish"
    SERVER_ERROR = "server_error"
    CLIENT_ERROR = "client_error"
    MALFORMED = "malformed"
    INTERMITTENT = "intermittent"
    SESSIONS_LOST = "sessions_lost"
    LOCKED = "locked"
    COLD = "cold"
    STARVED_CPU = "starved_cpu"
    STARVED_MEMORY = "starved_memory"
    CONNECTIONS_TAKEN = "connections_taken"


_MODES = {
    "refuse": FaultType.REFUSED,
    "blackhole": FaultType.SILENT,
    "error": FaultType.SERVER_ERROR,
}
_PLAIN: dict[type[FaultSpec], FaultType] = {
    Crash: FaultType.DEAD,
    Stop: FaultType.STOPPED,
    Hang: FaultType.SILENT,
    Slowdown: FaultType.SLOW,
    Timeout: FaultType.SILENT,
    CorruptResponse: FaultType.MALFORMED,
    Cpu: FaultType.STARVED_CPU,
    Memory: FaultType.STARVED_MEMORY,
    Connections: FaultType.CONNECTIONS_TAKEN,
    CacheFlush: FaultType.COLD,
    Lock: FaultType.LOCKED,
}


def fault_type(fault: Fault) -> FaultType:
    """The type of a fault. One that strikes only some requests is ``intermittent``, whatever it does to them."""
    if isinstance(fault, HttpMatch | Reset) and fault.probability < 1:
        return FaultType.INTERMITTENT
    if isinstance(fault, Latency):
        return _delayed(fault.delay_ms)
    if isinstance(fault, DependencyFailure):
        return _delayed(fault.delay_ms) if fault.mode == "slow" else _MODES[fault.mode]
    if isinstance(fault, Error):
        return FaultType.SERVER_ERROR if fault.status >= 500 else FaultType.CLIENT_ERROR
    if isinstance(fault, Reset):
        return FaultType.MALFORMED if fault.after_bytes else FaultType.REFUSED
    if isinstance(fault, Partition):
        return FaultType.SILENT if fault.how == "drop" else FaultType.REFUSED
    if isinstance(fault, ConnectionFailure):
        return FaultType.REFUSED if fault.how == "refuse_new" else FaultType.SESSIONS_LOST
    return _PLAIN[type(fault)]


def fault_text(fault: Fault) -> str:
    """The fault in short, with the parameters that differ from their defaults: ``network.latency delay_ms=3000``."""
    told = fault.model_dump(mode="json", exclude_defaults=True)
    parts = [f"{key}={value:g}" if isinstance(value, float) else f"{key}={value}" for key, value in told.items()]
    return " ".join((fault.kind, *parts))[:400]


def _delayed(delay_ms: float) -> FaultType:
    return FaultType.SLOW if delay_ms >= SLOW_MS else FaultType.SLUGGISH
