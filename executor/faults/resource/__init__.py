"""Behaviours of the resource layer. Standard library only."""

from __future__ import annotations

from executor.faults.behaviour import Behaviour
from executor.faults.resource.connections import Connections
from executor.faults.resource.cpu import Cpu
from executor.faults.resource.memory import Memory

BEHAVIOURS: tuple[Behaviour, ...] = (
    Cpu(),
    Memory(),
    Connections(),
)
