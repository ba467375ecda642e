"""Behaviours of the infrastructure layer. Standard library only."""

from __future__ import annotations

from executor.faults.behaviour import Behaviour
from executor.faults.infrastructure.config import Config
from executor.faults.infrastructure.container import Container
from executor.faults.infrastructure.credentials import Credentials
from executor.faults.infrastructure.vm import Vm

BEHAVIOURS: tuple[Behaviour, ...] = (Container(), Vm(), Credentials(), Config())
