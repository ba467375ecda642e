"""Behaviours of the resource layer. Standard library only."""

from __future__ import annotations

from executor.faults.behaviour import Behaviour
from executor.faults.resource.clock_skew import ClockSkew
from executor.faults.resource.connections import Connections
from executor.faults.resource.cpu import Cpu
from executor.faults.resource.cpu_throttle import CpuThrottle
from executor.faults.resource.disk_fill import DiskFill
from executor.faults.resource.disk_readonly import DiskReadonly
from executor.faults.resource.file_descriptors import FileDescriptors
from executor.faults.resource.io_error import IoError
from executor.faults.resource.io_throttle import IoThrottle
from executor.faults.resource.memory import Memory
from executor.faults.resource.oom import Oom
from executor.faults.resource.processes import Processes

BEHAVIOURS: tuple[Behaviour, ...] = (
    Cpu(),
    Memory(),
    Connections(),
    CpuThrottle(),
    FileDescriptors(),
    Processes(),
    Oom(),
    DiskFill(),
    DiskReadonly(),
    IoThrottle(),
    IoError(),
    ClockSkew(),
)
