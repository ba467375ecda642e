"""Behaviours of the service layer. Standard library only."""

from __future__ import annotations

from executor.faults.behaviour import Behaviour
from executor.faults.service.corrupt_response import CorruptResponse
from executor.faults.service.crash import Crash
from executor.faults.service.dependency_failure import DependencyFailure
from executor.faults.service.error import Error
from executor.faults.service.hang import Hang
from executor.faults.service.overload import Overload
from executor.faults.service.restart_loop import RestartLoop
from executor.faults.service.slowdown import Slowdown
from executor.faults.service.stop import Stop
from executor.faults.service.timeout import Timeout

BEHAVIOURS: tuple[Behaviour, ...] = (
    Crash(),
    Stop(),
    Hang(),
    Slowdown(),
    Overload(),
    RestartLoop(),
    Error(),
    Timeout(),
    CorruptResponse(),
    DependencyFailure(),
)
