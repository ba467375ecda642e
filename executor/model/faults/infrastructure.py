"""Infrastructure layer: what services stand on is taken away: containers, machines, balancers, storage, credentials."""

from __future__ import annotations

from typing import Final

from executor.model.faults.base import FaultSpec

SPECS: Final[tuple[type[FaultSpec], ...]] = ()
