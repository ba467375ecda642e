"""The fault catalogue as people and experts read it: parameters with bounds, one class a fault, one file a layer."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from executor.model.faults.base import FaultSpec, TargetKind
from executor.model.faults.data import CacheFlush, ConnectionFailure, Lock
from executor.model.faults.network import Latency, Partition, Reset
from executor.model.faults.resource import Connections, Cpu, Memory
from executor.model.faults.service import (
    CorruptResponse,
    Crash,
    DependencyFailure,
    Error,
    Hang,
    Slowdown,
    Stop,
    Timeout,
)

Fault = Annotated[
    Crash
    | Stop
    | Hang
    | Slowdown
    | Error
    | Timeout
    | CorruptResponse
    | DependencyFailure
    | Latency
    | Reset
    | Partition
    | Cpu
    | Memory
    | Connections
    | CacheFlush
    | Lock
    | ConnectionFailure,
    Field(discriminator="kind"),
]
"""Any fault, told apart by ``kind``."""

SPECS: tuple[type[FaultSpec], ...] = (
    Crash,
    Stop,
    Hang,
    Slowdown,
    Error,
    Timeout,
    CorruptResponse,
    DependencyFailure,
    Latency,
    Reset,
    Partition,
    Cpu,
    Memory,
    Connections,
    CacheFlush,
    Lock,
    ConnectionFailure,
)

__all__ = ["SPECS", "Fault", "FaultSpec", "TargetKind"]
