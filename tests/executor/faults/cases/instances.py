"""Faults on a process: a small real HTTP server that is killed, stopped, slowed, and starved."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from executor.drivers import process
from executor.drivers.resolve import resolve
from executor.drivers.targets import ProcessTarget
from executor.model.faults import FaultSpec
from executor.model.faults.resource import Connections, Cpu, Memory
from executor.model.faults.service import Crash, Hang, Slowdown, Stop
from executor.model.plan import InstanceTarget
from executor.model.system import Service, System
from tests.executor.faults.cases import Bench, Case
from tests.executor.kit import Shelf, shelves, until

MEBIBYTES = 64
CONNECTIONS = 25


class ShelfSubject:
    """A shelf, and how one fault shows on it."""

    def __init__(self, shelf: Shelf, path: Path, shows: Callable[[ShelfSubject], bool]) -> None:
        self.shelf, self.path, self.shows = shelf, path, shows
        service = Service(name=shelf.name, instances=(shelf.instance,), restarts="by_hand")
        self.system = System(name="library", services=(service,))

    def resolved(self) -> ProcessTarget:
        (target,) = resolve(InstanceTarget(service=self.shelf.name), self.system)
        assert isinstance(target, ProcessTarget)
        return target

    def normal(self) -> bool:
        return self.shelf.answers() and not self.shelf.stopped()

    def faulted(self) -> bool:
        return self.shows(self)

    def state(self) -> Any:
        target = self.resolved()
        about = psutil.Process(target.pid)
        return {
            "command": about.cmdline(),
            "cwd": about.cwd(),
            "environment": about.environ(),
            "users": (about.uids(), about.gids(), about.nice(), about.cpu_affinity()),
            "output": [Path(f"/proc/{target.pid}/fd/{number}").readlink() for number in (1, 2)],
            "descriptors": about.num_fds(),
            "stopped": self.shelf.stopped(),
            "siblings": len(process.heads_of(self.shelf.instance)),
        }

    def die(self) -> None:
        found = self.shelf.found()
        if found is not None:
            process.send(found.pid, found.start_ticks, signal.SIGKILL)
            assert process.wait_gone(found.pid, found.start_ticks, 10)
        self.shelf.started.poll()

    def helpers(self) -> list[psutil.Process]:
        """Helper processes that the fault has started, told by their deadline file in the test's directory."""
        return [p for p in psutil.process_iter() if any(part.startswith(f"{self.path}/") for part in _command(p)[3:])]


def _command(other: psutil.Process) -> list[str]:
    try:
        return list(other.cmdline())
    except psutil.Error:
        return []


def _refused(subject: ShelfSubject) -> bool:
    return not subject.shelf.answers() and subject.shelf.found() is None


def _silent(subject: ShelfSubject) -> bool:
    return not subject.shelf.answers() and subject.shelf.stopped()


def _by_turns(subject: ShelfSubject) -> bool:
    until(subject.shelf.stopped, what="it is never stopped")
    until(lambda: not subject.shelf.stopped(), what="it never goes on")
    return True


def _burns(subject: ShelfSubject) -> bool:
    (helper,) = subject.helpers()
    before = helper.cpu_times().user
    until(lambda: helper.cpu_times().user > before, what="no processor time is burnt")
    return helper.cpu_affinity() == sorted(os.sched_getaffinity(subject.resolved().pid))[:1]


def _full(subject: ShelfSubject) -> bool:
    (helper,) = subject.helpers()
    return bool(helper.memory_info().rss >= MEBIBYTES * 2**20)


def _crowded(subject: ShelfSubject) -> bool:
    about = psutil.Process(subject.resolved().pid)
    established = [c for c in about.net_connections("tcp") if c.status == psutil.CONN_ESTABLISHED]
    return len(established) >= CONNECTIONS


def case(fault: FaultSpec, shows: Callable[[ShelfSubject], bool]) -> Case:
    @contextmanager
    def opened(bench: Bench) -> Iterator[ShelfSubject]:
        with shelves("books") as (shelf,):
            yield ShelfSubject(shelf, bench.path, shows)

    return Case(str(fault.model_dump()["kind"]), fault, opened)


CASES = (
    case(Crash(), _refused),
    case(Stop(), _refused),
    case(Hang(), _silent),
    case(Slowdown(cpu_percent=30), _by_turns),
    case(Cpu(load_percent=50), _burns),
    case(Memory(bytes=MEBIBYTES * 2**20), _full),
    case(Connections(count=CONNECTIONS), _crowded),
)
