"""Faults on a process of another machine: a small web server that is reached by ssh, and another one beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from executor.drivers.resolve import resolve
from executor.drivers.targets import SshTarget
from executor.model.faults import FaultSpec
from executor.model.faults.service import Crash, Hang, RestartLoop, Slowdown, Stop
from executor.model.plan import InstanceTarget
from executor.model.system import Service, System
from tests.executor.faults.cases import Bench, Case
from tests.executor.faults.cases.instances import (
    ShelfSubject,
    by_turns,
    gone,
    held_still,
    killed_again,
    kills,
    refused,
    silent,
    slowed,
)
from tests.executor.faults.remote_machine import Sshd, lacking
from tests.executor.kit import Shelf, until


class RemoteSubject(ShelfSubject):
    """Two shelves; Murphy knows the first by ssh only."""

    def __init__(self, sshd: Sshd, *rest: Any) -> None:
        super().__init__(*rest)
        self.sshd = sshd
        (here,) = self.system.services
        service = Service(name=here.name, instances=(sshd.instance(self.shelf),), restarts=here.restarts)
        self.system = System(name="library", services=(service,))

    def resolved(self) -> SshTarget:  # type: ignore[override]
        (target,) = resolve(InstanceTarget(service=self.shelf.name), self.system)
        assert isinstance(target, SshTarget)
        return target

    def state(self) -> Any:
        return super().state() | {"keepers": self.sshd.keepers()}


def case(
    fault: FaultSpec,
    shows: Callable[[ShelfSubject], bool],
    size: Callable[[ShelfSubject], str],
    *,
    supervised: bool = False,
) -> Case:
    @contextmanager
    def opened(bench: Bench) -> Iterator[RemoteSubject]:
        shelf, other = Shelf("books", supervised=supervised), Shelf("films")
        try:
            until(lambda: shelf.answers() and other.answers(), what="the shelves do not answer")
            restarts = "supervised" if supervised else "by_hand"
            yield RemoteSubject(bench.fixture("sshd"), shelf, other, bench.path, shows, size, restarts)
        finally:
            shelf.end()
            other.end()

    kind = fault.model_dump()["kind"]
    return Case(f"{kind}-ssh", fault, opened, unavailable=lacking, slow=True)


CASES = (
    case(Hang(), silent, held_still),
    case(Crash(), refused, gone),
    case(Stop(), refused, gone),
    case(Slowdown(cpu_percent=30), by_turns, slowed),
    case(RestartLoop(every_s=0.5, times=20), killed_again, kills, supervised=True),
)
