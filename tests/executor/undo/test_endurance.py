"""The watchdog undoes a fault amid the shortages that it guards against: each is real, and made for it alone."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from executor.clock import start_ticks
from executor.kernel import process
from executor.state.home import Home
from executor.state.journal import Journal
from executor.undo.endurance import Spares
from executor.undo.guardian import Guardian
from tests.executor.injections import hang
from tests.executor.kit import Shelf, until
from tests.missing import missing

BURN = "import time\nuntil = time.monotonic() + 60\nwhile time.monotonic() < until: pass"
PRESS = """
import os, sys, time
open(sys.argv[1], "w").write(str(os.getpid()))
until = time.monotonic() + 60
while time.monotonic() < until:
    if not (child := os.fork()):
        held = []
        while True:
            held.append(bytearray(b"x" * 2**20))
    os.waitpid(child, 0)
    print("killed", flush=True)
"""
CGROUP_BYTES = 64 * 2**20


@pytest.fixture
def watchdog(home: Home, journal: Journal) -> Iterator[int]:
    guardian = Guardian(home, "run-1")
    guardian.start()
    pid = guardian.pid
    assert pid is not None
    yield pid
    assert not guardian.exited(), "it did not outlive the shortage"
    journal.finish("run-1", "completed")
    guardian.leave()
    assert start_ticks(pid) is None


def need(what: bool, why: str) -> None:
    """Skip where it cannot be shown, but never in continuous integration."""
    if not what:
        missing(why)


def cgroup(controller: str, limit: dict[str, str], name: str) -> Path:
    """A control group of our own, of whichever version there is, with a limit: file in version 1 or 2, to value."""
    need(os.geteuid() == 0, "needs root, to make a control group")
    for parent in (Path("/sys/fs/cgroup", controller), Path("/sys/fs/cgroup")):
        group = parent / f"murphy-test-{name}-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:  # no such hierarchy, or one that can only be read
            continue
        for file, value in limit.items():
            if (group / file).exists():
                (group / file).write_text(value, encoding="ascii")
                return group
        group.rmdir()
    need(False, f"needs control groups with {controller}")
    raise AssertionError


def descriptors(pid: int) -> set[int]:
    return {int(entry.name) for entry in Path(f"/proc/{pid}/fd").iterdir()}


def test_with_no_descriptor_to_be_had(journal: Journal, watchdog: int, shelf: Shelf) -> None:
    hang(journal, shelf, lease_s=1.5)
    held = descriptors(watchdog)
    free = min(set(range(len(held) + 1)) - held)
    resource.prlimit(watchdog, resource.RLIMIT_NOFILE, (free, free))  # every number below it is taken
    until(lambda: not shelf.stopped())
    until(lambda: not journal.pending("run-1"))


def test_spares_are_let_go_and_taken_again() -> None:
    before = descriptors(os.getpid())
    spares = Spares()
    with spares.released():
        with spares.released():
            assert descriptors(os.getpid()) == before
        assert descriptors(os.getpid()) == before, "another one still needs them"
    assert len(descriptors(os.getpid())) > len(before)
    while spares._held:
        os.close(spares._held.pop())


def test_with_no_thread_or_process_to_be_had(journal: Journal, watchdog: int, shelf: Shelf) -> None:
    hang(journal, shelf, lease_s=1.5)
    if os.geteuid() != 0:
        resource.prlimit(watchdog, resource.RLIMIT_NPROC, (1, 1))
        group = None
    else:
        group = cgroup("pids", {"pids.max": "1"}, "pids")
        (group / "cgroup.procs").write_text(str(watchdog), encoding="ascii")
    until(lambda: not shelf.stopped())
    until(lambda: not journal.pending("run-1"))
    assert start_ticks(watchdog) is not None
    if group is not None:
        (group.parent / "cgroup.procs").write_text(str(watchdog), encoding="ascii")
        group.rmdir()


def test_while_others_burn_the_processors(journal: Journal, watchdog: int, shelf: Shelf) -> None:
    ahead = ["nice", "-n", "-10"] if os.geteuid() == 0 and shutil.which("nice") else []
    command = [*ahead, sys.executable, "-c", BURN]
    found = shelf.found()
    assert found is not None
    hang(journal, shelf, lease_s=3.0)
    burners = [subprocess.Popen(command) for _ in range(2 * len(os.sched_getaffinity(0)))]
    try:
        assert process.state(found.pid, found.start_ticks) == "T", "the lease has lapsed before anything burnt"
        until(lambda: process.state(found.pid, found.start_ticks) != "T", within_s=50)
        assert all(burner.poll() is None for burner in burners), "they had ended by then"
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()
    until(lambda: not journal.pending("run-1"))


@pytest.mark.root
def test_while_others_take_all_memory(journal: Journal, watchdog: int, shelf: Shelf) -> None:
    """Its own control group runs out of memory again and again; the kernel takes the others."""
    group = cgroup("memory", {"memory.limit_in_bytes": str(CGROUP_BYTES), "memory.max": str(CGROUP_BYTES)}, "memory")
    press = None
    try:
        (group / "cgroup.procs").write_text(str(watchdog), encoding="ascii")
        command = [sys.executable, "-c", PRESS, str(group / "cgroup.procs")]
        press = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
        assert press.stdout is not None
        assert press.stdout.readline() == b"killed\n"
        hang(journal, shelf, lease_s=1.5)
        until(lambda: not shelf.stopped(), within_s=50)
        until(lambda: not journal.pending("run-1"), within_s=50)
        assert press.stdout.readline() == b"killed\n", "memory was no longer short"
        assert start_ticks(watchdog) is not None
        locked = Path(f"/proc/{watchdog}/status").read_text(encoding="ascii").partition("VmLck:")[2].split()[0]
        assert int(locked) > 0
    finally:
        if press is not None:
            os.killpg(press.pid, signal.SIGKILL)  # a group of its own: what it forks is in it
            press.communicate()
        (group.parent / "cgroup.procs").write_text(str(watchdog), encoding="ascii")
        until(lambda: not (group / "cgroup.procs").read_text(encoding="ascii"))
        group.rmdir()
