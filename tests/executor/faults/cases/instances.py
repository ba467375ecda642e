"""Faults on a process: a small real HTTP server that is killed, stopped, slowed, and starved."""

from __future__ import annotations

import os
import signal
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import psutil

from executor.drivers.resolve import resolve
from executor.drivers.targets import ProcessTarget
from executor.kernel import locate, process
from executor.model.faults import FaultSpec
from executor.model.faults.resource import Connections, Cpu, Memory
from executor.model.faults.service import Crash, Hang, Overload, RestartLoop, Slowdown, Stop
from executor.model.plan import InstanceTarget
from executor.model.system import Service, System
from tests.executor.faults.cases import Bench, Case
from tests.executor.kit import Shelf, until

MEBIBYTES = 64
CONNECTIONS = 25


class ShelfSubject:
    """A shelf, and how one fault shows on it and how big it is; another shelf stands by."""

    def __init__(
        self,
        shelf: Shelf,
        other: Shelf,
        path: Path,
        shows: Callable[[ShelfSubject], bool],
        size: Callable[[ShelfSubject], str],
        restarts: Literal["supervised", "by_hand"],
    ) -> None:
        self.shelf, self.other, self.path, self.shows, self._size = shelf, other, path, shows, size
        self._pids: set[int] = set()
        service = Service(name=shelf.name, instances=(shelf.instance,), restarts=restarts)
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
            "siblings": len(locate.heads_of(self.shelf.instance)),
        }

    def die(self) -> None:
        found = self.shelf.found()
        if found is not None:
            process.send(found.pid, found.start_ticks, signal.SIGKILL)
            assert process.wait_gone(found.pid, found.start_ticks, 10)
        self.shelf.started.poll()

    def unharmed(self) -> bool:
        """Whether the other shelf answers each of twenty times and is never stopped."""
        return all(self.other.answers() and not self.other.stopped() for _ in range(20))

    def size(self) -> str:
        return self._size(self)

    def served(self) -> int:
        """Requests that it has answered."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.shelf.port}/count", timeout=5) as answer:
            return int(answer.read())

    def pids(self) -> set[int]:
        """The processes that have been seen to serve, one after another; looks once more."""
        if (found := self.shelf.found()) is not None:
            self._pids.add(found.pid)
        return self._pids

    def helpers(self) -> list[psutil.Process]:
        """Helper processes that the fault has started, told by their deadline file in the test's directory."""
        return [p for p in psutil.process_iter() if any(part.startswith(f"{self.path}/") for part in _command(p)[3:])]


def _command(other: psutil.Process) -> list[str]:
    try:
        return list(other.cmdline())
    except psutil.Error:
        return []


def refused(subject: ShelfSubject) -> bool:
    return not subject.shelf.answers() and subject.shelf.found() is None


def silent(subject: ShelfSubject) -> bool:
    return not subject.shelf.answers() and subject.shelf.stopped()


def by_turns(subject: ShelfSubject) -> bool:
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


def gone(subject: ShelfSubject) -> str:
    return f"1 process asked, {int(subject.shelf.found() is None)} gone"


def _still(subject: ShelfSubject) -> float:
    """Share of looks, over two seconds, at which the shelf stood still, percent."""
    found = subject.shelf.found()
    assert found is not None
    looks = []
    until_s = time.monotonic() + 2
    while time.monotonic() < until_s:
        looks.append(process.state(found.pid, found.start_ticks) == "T")
        time.sleep(0.003)
    return 100 * sum(looks) / len(looks)


def held_still(subject: ShelfSubject) -> str:
    measured = _still(subject)
    assert measured == 100
    return f"100 % stopped asked, {measured:.0f} %"


def slowed(subject: ShelfSubject) -> str:
    measured = _still(subject)
    assert 50 < measured < 90
    return f"70 % stopped asked, {measured:.0f} %"


def _burnt(subject: ShelfSubject) -> str:
    (helper,) = subject.helpers()
    before, began = sum(helper.cpu_times()[:2]), time.monotonic()
    time.sleep(2)
    measured = 100 * (sum(helper.cpu_times()[:2]) - before) / (time.monotonic() - began)
    assert 5 < measured <= 60  # less on a busy machine: the fault asks, it does not take
    return f"50 % of a core asked, {measured:.0f} %"


def _taken(subject: ShelfSubject) -> str:
    (helper,) = subject.helpers()
    has = helper.memory_info().rss / 2**20
    assert MEBIBYTES < has < MEBIBYTES + 64, "with the interpreter's own"
    return f"{MEBIBYTES} MiB asked, {has:.0f} MiB resident with the helper's own"


def _connected(subject: ShelfSubject) -> str:
    established = [
        c
        for c in psutil.Process(subject.resolved().pid).net_connections("tcp")
        if c.status == psutil.CONN_ESTABLISHED and c.laddr.port == subject.shelf.port
    ]
    assert len(established) == CONNECTIONS
    return f"{CONNECTIONS} connections asked, {len(established)} open"


def _flooded(subject: ShelfSubject) -> bool:
    return subject.served() > 50


def _rate(subject: ShelfSubject) -> str:
    before, began = subject.served(), time.monotonic()
    time.sleep(2)
    measured = (subject.served() - before) / (time.monotonic() - began)
    assert 10 < measured <= 105  # less on a busy machine: the fault asks, it does not take
    return f"100 requests a second asked, {measured:.0f} answered"


def killed_again(subject: ShelfSubject) -> bool:
    return len(subject.pids()) >= 2


def kills(subject: ShelfSubject) -> str:
    until(lambda: len(subject.pids()) > 3, what="it is not killed three times")
    return f"killed every 0.5 s asked, {len(subject.pids())} processes seen one after another"


def case(
    fault: FaultSpec,
    shows: Callable[[ShelfSubject], bool],
    size: Callable[[ShelfSubject], str],
    *,
    supervised: bool = False,
    name: str = "",
) -> Case:
    @contextmanager
    def opened(bench: Bench) -> Iterator[ShelfSubject]:
        shelf, other = Shelf("books", supervised=supervised), Shelf("films")
        try:
            until(lambda: shelf.answers() and other.answers(), what="the shelves do not answer")
            yield ShelfSubject(shelf, other, bench.path, shows, size, "supervised" if supervised else "by_hand")
        finally:
            shelf.end()
            other.end()

    return Case(f"{fault.kind}{name}", fault, opened)


CASES = (
    case(Crash(), refused, gone),
    case(Stop(), refused, gone),
    case(Hang(), silent, held_still),
    case(Slowdown(cpu_percent=30), by_turns, slowed),
    case(Cpu(load_percent=50), _burns, _burnt),
    case(Memory(bytes=MEBIBYTES * 2**20), _full, _taken),
    case(Connections(count=CONNECTIONS), _crowded, _connected),
    case(Overload(rate_rps=100, concurrency=20), _flooded, _rate),
    case(
        Overload(rate_rps=100, concurrency=20, method="POST", path="/orders", body='{"item": 1}'),
        _flooded,
        _rate,
        name="-post",
    ),
    case(RestartLoop(every_s=0.5, times=20), killed_again, kills, supervised=True),
)
