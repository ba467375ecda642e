"""Behaviours of the infrastructure layer. Standard library only."""

from __future__ import annotations

from executor.faults.behaviour import Behaviour
from executor.faults.infrastructure.vm import Vm

BEHAVIOURS: tuple[Behaviour, ...] = (Vm(),)
