"""What runs in a pid namespace of its own: a process is struck and ends, and another one gets its pid.

Prints the name of each check that has passed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from executor.clock import own_ticks, start_ticks
from executor.drivers import restart
from executor.drivers.targets import ProcessTarget
from executor.errors import UnavailableError
from executor.faults.behaviour import Context
from executor.faults.registry import behaviour
from executor.kernel import child, process
from executor.model.faults import Fault
from executor.model.faults.service import Crash, Hang, Slowdown, Stop
from executor.model.system import ProcessInstance, Service, System
from executor.state import undo_notes
from executor.state.home import Home
from executor.state.journal import Journal
from executor.undo.guardian import Watcher, watchers
from executor.undo.noted import undo_noted
from tests.executor.kit import until

MOST_PID = Path("/proc/sys/kernel/ns_last_pid")
EXECUTOR = """
import sys
from pathlib import Path
from executor.undo.guardian import Guardian
from executor.state.home import Home
from executor.state.journal import Journal
from tests.executor.injections import admit
home = Home(Path(sys.argv[1]))
admit(Journal(home.journal))
Guardian(home, "run-1").start()
sys.stdin.readline()
"""


class Witness:
    """A process that notes every signal it gets, at a pid of our choice if one is given."""

    def __init__(self, at: int | None = None) -> None:
        reading, writing = os.pipe()
        if at is not None:
            MOST_PID.write_text(str(at - 1), encoding="ascii")
        self.pid = os.fork()
        if self.pid == 0:
            for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}:
                with suppress(OSError, ValueError):
                    signal.signal(number, lambda number, _frame: os.write(writing, bytes([number])))
            os.write(writing, b"\0")
            while True:
                signal.pause()
        os.close(writing)
        assert os.read(reading, 1) == b"\0"
        self._said = reading
        self.ticks = start_ticks(self.pid) or 0

    def untouched(self) -> bool:
        """Alive, not standing still, and no signal has come."""
        os.set_blocking(self._said, False)
        with suppress(BlockingIOError):
            return not os.read(self._said, 1)
        return process.state(self.pid, self.ticks) in ("S", "R")

    def end(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)


@contextmanager
def succeeded(first: Witness) -> Iterator[Witness]:
    """The process ends, and another one has its pid."""
    first.end()
    second = Witness(first.pid)
    assert second.pid == first.pid
    assert second.ticks != first.ticks
    try:
        yield second
        assert second.untouched()
    finally:
        second.end()


def target(witness: Witness) -> tuple[ProcessTarget, System]:
    service = Service(
        name="it", instances=(ProcessInstance(id="it-1", command="nobody has this"),), restart_command=("/bin/true",)
    )
    return ProcessTarget(service, "it-1", witness.pid, witness.ticks, None), System(name="s", services=(service,))


def strike(fault: Fault, path: Path, *, first: bool) -> None:
    """A fault of a process that is gone is made, looked at, and undone, while another one has its pid."""
    witness = Witness()
    struck, system = target(witness)
    how: Any = behaviour(fault.kind)
    record = how.prepare(fault, struck, Context(system, "murphy-reuse-1", str(path)))
    if first:
        record |= how.inject(record, 60.0)
    time.sleep(0.02)  # the clock of start times has moved on
    with succeeded(witness):
        with suppress(UnavailableError):
            how.inject(record, 60.0)
        if hasattr(how, "renew"):
            with suppress(UnavailableError):
                how.renew(record, 60.0)
        how.active(record)
        with suppress(UnavailableError):
            how.revert(record)
        with pytest.raises(UnavailableError):
            how.prepare(fault, struck, Context(system, "murphy-reuse-2", str(path)))


def hang(path: Path) -> None:
    strike(Hang(), path, first=True)
    strike(Hang(), path, first=False)


def slowdown(path: Path) -> None:
    strike(Slowdown(cpu_percent=50), path, first=True)
    strike(Slowdown(cpu_percent=50), path, first=False)


def crash(path: Path) -> None:
    restart._BACK_S = 0.1
    strike(Crash(restart="murphy"), path, first=False)


def stop(path: Path) -> None:
    strike(Stop(restart="murphy", grace_s=0.1), path, first=False)


def every_signal(path: Path) -> None:
    witness = Witness()
    time.sleep(0.02)
    with succeeded(witness):
        for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGSTOP, signal.SIGCONT):
            assert not process.send(witness.pid, witness.ticks, number)
        assert process.wait_gone(witness.pid, witness.ticks, 0)
        assert process.state(witness.pid, witness.ticks) is None
        assert "gone" in (process.forbidden(witness.pid, witness.ticks) or "")


def start_times_as_near_as_can_be(path: Path) -> None:
    """One tick of the kernel's clock apart, which is the least that can be told."""
    for _ in range(300):
        first = Witness()
        first.end()
        second = Witness(first.pid)
        try:
            if second.pid == first.pid and second.ticks - first.ticks == 1:
                assert not process.send(first.pid, first.ticks, signal.SIGKILL)
                assert second.untouched()
                return
        finally:
            second.end()
    raise AssertionError("no two processes began one tick apart")


def helpers_and_watchdogs_that_are_gone(path: Path) -> None:
    """As if the one that was found ended, and its pid was given again, just before it is signalled."""
    witness = Witness()
    found = process.Found(witness.pid, witness.ticks)
    time.sleep(0.02)
    with succeeded(witness):
        real = child.living
        child.living = lambda _deadline: [found]
        try:
            child.end(path / "murphy-reuse-1.lease")
        finally:
            child.living = real
        assert Watcher(found, path, "run-1", 1, 1).end(), "what is gone has ended"


def a_holder_that_is_gone(path: Path) -> None:
    """A helper's lease ends with its holder, whoever has the holder's pid."""
    witness = Witness()
    deadline = path / "murphy-reuse-1.lease"
    child.extend(deadline, 60.0, create=True)
    lease = child.Lease(witness.pid, witness.ticks, deadline)
    assert lease.held
    assert lease.wait(0.01)
    time.sleep(0.02)
    with succeeded(witness):
        assert not lease.held
        assert not lease.wait(10.0)
    deadline.unlink()


def one_that_was_started_again(path: Path) -> None:
    witness = Witness()
    file = path / "murphy-reuse-1.started"
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    file.write_text(f"{witness.pid} {witness.ticks} {boot}", encoding="ascii")
    assert restart._coming({"started": str(file)})
    time.sleep(0.02)
    with succeeded(witness):
        assert not restart._coming({"started": str(file)})


def an_executor_that_is_gone(path: Path) -> None:
    """Its watchdog is told by the pidfd, and undoes; nobody takes the other one for the executor."""
    home = Home.open(path / "home")
    executor = subprocess.Popen([sys.executable, "-c", EXECUTOR, str(home.path)], stdin=subprocess.PIPE)
    journal = Journal(home.journal)
    (watcher,) = until(lambda: watchers(home))
    until(journal.running)
    shelf = subprocess.Popen(["sleep", "100"])
    ticks = start_ticks(shelf.pid) or 0
    record = {"instance": "it-1", "members": [[shelf.pid, ticks]]}
    given = {"experiment": "e1", "trial": 1, "action": "a1", "kind": "service.hang", "subject": "it-1"}
    armed = journal.arm("run-1", **given, mark="m1", record=record, lease_s=60.0)  # type: ignore[arg-type]
    home.run_dir("run-1")
    undo_notes.keep(home, armed, record)
    (note,) = undo_notes.left(home)
    undo_notes.drop(home, note)
    process.send(shelf.pid, ticks, signal.SIGSTOP)
    assert journal.injected(armed.id, record)
    assert watcher.executor == executor.pid
    gone = SimpleNamespace(
        pid=executor.pid, ticks=watcher.executor_ticks, end=lambda: (executor.kill(), executor.wait())
    )
    with succeeded(gone):  # type: ignore[arg-type]
        assert watcher.orphaned
        assert not replace(note, holder=watcher.executor, holder_ticks=watcher.executor_ticks).held
        until(lambda: process.state(shelf.pid, ticks) == "S")
        until(lambda: not journal.running())
        assert undo_noted(home, by="x") == []
        until(lambda: not watchers(home))
    shelf.kill()
    shelf.wait()


CHECKS: tuple[Callable[[Path], None], ...] = (
    every_signal,
    start_times_as_near_as_can_be,
    hang,
    slowdown,
    crash,
    stop,
    helpers_and_watchdogs_that_are_gone,
    a_holder_that_is_gone,
    one_that_was_started_again,
    an_executor_that_is_gone,
)


def main() -> None:
    assert os.getpid() == 1, "not in a pid namespace of its own"
    assert own_ticks()
    for check in CHECKS:
        check(Path(sys.argv[1]))
        print(check.__name__, flush=True)


if __name__ == "__main__":
    main()
