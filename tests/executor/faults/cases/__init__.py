"""What the contract suite runs over: for each kind of fault at least one case that makes a real target for it.

Each module here has ``CASES``; a new one is found by itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from runpy import run_path
from typing import Any, Protocol

from executor.drivers.targets import Resolved
from executor.model.faults import FaultSpec
from executor.model.system import System
from tests.executor.faults.servers import Postgres, Redis


class Subject(Protocol):
    """A running target, looked at with the test's own means. Everything here asks it now."""

    system: System

    def resolved(self) -> Resolved:
        """The target as the executor resolves it."""

    def normal(self) -> bool:
        """Whether it does what it is there for."""

    def faulted(self) -> bool:
        """Whether it shows the fault."""

    def state(self) -> Any:
        """All about it that has to be as before once the fault is undone."""

    def die(self) -> None:
        """End it by force, whatever state it is in."""

    def unharmed(self) -> bool:
        """Whether a bystander (another process, container, table, key, caller, port…) is as well as ever, measured."""

    def size(self) -> str:
        """How big the fault is as measured, beside what was asked: ``30 % asked, 29.4 % of 2,000 packets``."""


class Mortal(Protocol):
    """A subject whose fault outlives its process, so that undoing it has to wait until it runs again."""

    def revive(self) -> None:
        """Start it again."""


@dataclass(frozen=True)
class Bench:
    """What a case may build on."""

    path: Path
    fixture: Callable[[str], Any]
    """What a fixture of that name gives: servers that cases share."""
    postgres: Callable[[], Postgres]
    redis: Callable[[], Redis]


@dataclass(frozen=True)
class Case:
    """One fault with a target for it. ``owed_while_dead``: undoing it waits for a dead target, which is ``Mortal``."""

    id: str
    fault: FaultSpec
    open: Callable[[Bench], AbstractContextManager[Subject]]
    owed_while_dead: bool = False
    unavailable: Callable[[], str | None] = lambda: None
    """Why there is no such target on this machine; ``None`` if there is. In CI it must not say so."""
    kernel_lacks: Callable[[], str | None] = lambda: None
    """What the kernel has not and no package gives it, so that the case is only for ``make test-vm``, in CI too."""
    stays: bool = True
    """Whether the fault stays to be seen; one that only ends sessions does not."""
    slow: bool = False
    """Whether it is left to ``make test-slow``, where another case, or a whole run, of the same driver is not."""


OTHERS = "MURPHY_CASES"
"""Environment variable with the path of a module whose ``CASES``, of another package's faults, are taken instead."""


VARIANTS = (
    *("service.error-redirect", "service.error-grpc-redirect", "service.overload-post", "resource.memory-fill-cgroup"),
    *("infrastructure.fis-terminate", "infrastructure.vm-ec2-isolate", "infrastructure.container-restart"),
    *("data.lock-rows", "service.timeout-managed-after-bytes", "service.dependency_failure-redirect"),
    *("service.hang-ssh", "infrastructure.vm-libvirt-stop", "service.hang-vm", "data.inconsistency-lag"),
    *("data.connection_failure-redis-terminate", "data.connection_failure-postgresql-terminate"),
    "data.backup_failure-truncated_archive",
)
"""Cases that differ little from others, or whose drivers have tests of their own: left to ``make test-slow`` too."""


def all_cases() -> tuple[Case, ...]:
    """Those of every module here, or those of the module that ``OTHERS`` names."""
    if path := os.environ.get(OTHERS):
        return tuple(run_path(path)["CASES"])
    modules = [import_module(f"{__name__}.{found.name}") for found in iter_modules(__path__)]
    cases = (case for module in modules for case in module.CASES)
    return tuple(replace(case, slow=True) if case.id in VARIANTS else case for case in cases)
