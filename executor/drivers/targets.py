"""What a plan's selectors mean right now: instances as their drivers found them, and edges. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:  # the watchdog loads behaviours and must stay small: no pydantic at run time here
    from executor.model.system import Dependency, Service


@dataclass(frozen=True)
class ResolvedInstance:
    """One instance, resolved now, by whatever driver. Each driver has a class of its own that says where it is."""

    driver: ClassVar[str]
    """The driver's name, as in the instance's ``driver``."""
    service: Service
    instance: str
    """Its id."""


@dataclass(frozen=True)
class ProcessTarget(ResolvedInstance):
    """One process of this machine. ``start_ticks`` tells it from a later process with the same pid."""

    driver = "process"
    pid: int
    start_ticks: int
    port: int | None
    command: str = ""
    """Text that the command line of whatever takes its place contains; empty: any."""


@dataclass(frozen=True)
class EdgeTargets:
    """The edges a fault strikes, with the processes of each caller."""

    edges: tuple[Dependency, ...]
    callers: Mapping[str, tuple[ProcessTarget, ...]]
    """Processes of each calling service, by service name."""
    first: frozenset[str] = frozenset()
    """Services of the first group, where the target is two groups."""


Resolved = ResolvedInstance | EdgeTargets
