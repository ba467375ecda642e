"""A fault on a process of another machine: a small web server that is reached by ssh, and another one beside it."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil

from executor.drivers.resolve import resolve
from executor.drivers.targets import SshTarget
from executor.kernel import process
from executor.model.faults.service import Hang
from executor.model.plan import InstanceTarget
from executor.model.system import Service, System
from tests.executor.faults.cases import Bench, Case
from tests.executor.faults.remote_machine import Sshd, lacking
from tests.executor.kit import Shelf, until


class RemoteSubject:
    """Two shelves; Murphy knows the first by ssh only."""

    def __init__(self, sshd: Sshd, shelf: Shelf, other: Shelf) -> None:
        self.sshd, self.shelf, self.other = sshd, shelf, other
        service = Service(name=shelf.name, instances=(sshd.instance(shelf),), restarts="by_hand")
        self.system = System(name="library", services=(service,))

    def resolved(self) -> SshTarget:
        (target,) = resolve(InstanceTarget(service=self.shelf.name), self.system)
        assert isinstance(target, SshTarget)
        return target

    def normal(self) -> bool:
        return self.shelf.answers() and not self.shelf.stopped()

    def faulted(self) -> bool:
        return not self.shelf.answers() and self.shelf.stopped()

    def state(self) -> Any:
        found = self.shelf.found()
        assert found is not None
        about = psutil.Process(found.pid)
        return {
            "process": found,
            "command": about.cmdline(),
            "environment": about.environ(),
            "descriptors": about.num_fds(),
            "stopped": self.shelf.stopped(),
            "keepers": self.sshd.keepers(),
        }

    def die(self) -> None:
        found = self.shelf.found()
        assert found is not None
        process.send(found.pid, found.start_ticks, signal.SIGKILL)
        assert process.wait_gone(found.pid, found.start_ticks, 10)
        self.shelf.started.poll()

    def unharmed(self) -> bool:
        """Whether the other shelf answers each of twenty times and is never stopped."""
        return all(self.other.answers() and not self.other.stopped() for _ in range(20))

    def size(self) -> str:
        found = self.shelf.found()
        assert found is not None
        looks = []
        until_s = time.monotonic() + 2
        while time.monotonic() < until_s:
            looks.append(process.state(found.pid, found.start_ticks) == "T")
            time.sleep(0.003)
        assert all(looks)
        return f"100 % stopped asked, {100 * sum(looks) / len(looks):.0f} % of {len(looks)} looks, over ssh"


@contextmanager
def _opened(bench: Bench) -> Iterator[RemoteSubject]:
    shelf, other = Shelf("books"), Shelf("films")
    try:
        until(lambda: shelf.answers() and other.answers(), what="the shelves do not answer")
        yield RemoteSubject(bench.fixture("sshd"), shelf, other)
    finally:
        shelf.end()
        other.end()


CASES = (Case("service.hang-ssh", Hang(), _opened, unavailable=lacking),)
