"""A thread that makes its fault after the run's end, in a process that dies or stands still then: it is undone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from executor.clock import start_ticks
from executor.kernel import process
from executor.selftest.parts import put
from executor.state import undo_notes
from executor.state.home import Home
from executor.state.journal import Journal
from executor.undo.guardian import watchers
from executor.undo.recover import recover
from tests.executor.kit import LIMITS, Shelf, approve, experiment_on, plan_of, system_of, until

ROOT = Path(__file__).parents[3]
LATE = """
import os, signal, sys, time
from pathlib import Path
from executor.run import conclude, trial
from executor.faults.service.hang import Hang
from tests.crash.runner import main
real, release = Hang.inject, Path(sys.argv[1]) / "release"
def late(self, record, lease_s):
    while not release.exists():
        time.sleep(0.01)
    real(self, record, lease_s)
    os.kill(os.getpid(), int(sys.argv[2]))
Hang.inject, trial.INJECT_S, conclude.LATE_S = late, 0.3, 0.2
main()
time.sleep(100)
"""


@contextmanager
def a_late_thread(
    tmp_path: Path, shelf: Shelf, ends_by: signal.Signals
) -> Iterator[tuple[subprocess.Popen[bytes], Home]]:
    """A process whose run has ended while a thread of it may still make its fault, as soon as ``release`` is there."""
    home = Home.open(tmp_path / "home")
    system = system_of([shelf])
    plan = plan_of(system, (experiment_on(system, "base", duration_s=1.0),))
    approval = approve(home, plan)
    put(tmp_path, plan=plan, approval=approval, system=system, limits=LIMITS)
    command = [sys.executable, "-c", LATE, str(tmp_path), str(int(ends_by))]
    executor = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    try:
        assert executor.stdout is not None
        said = list(iter(executor.stdout.readline, b"outcome completed\n"))
        assert b"injected\n" not in said
        yield executor, home
    finally:
        executor.kill()
        executor.communicate()


@pytest.mark.parametrize("watchdog", ["watches", "is killed too"])
def test_a_fault_made_after_the_end_of_its_run_by_a_process_that_dies(
    tmp_path: Path, shelf: Shelf, watchdog: str
) -> None:
    with a_late_thread(tmp_path, shelf, signal.SIGKILL) as (executor, home):
        journal = Journal(home.journal)
        assert journal.running() == journal.pending() == []
        journal.close()
        (note,) = undo_notes.left(home)
        (watcher,) = watchers(home)
        if watchdog == "is killed too":
            os.kill(watcher.found.pid, signal.SIGKILL)
        (tmp_path / "release").touch()
        assert executor.wait(60) == -signal.SIGKILL
    if watchdog == "is killed too":
        until(shelf.stopped)
        assert [done.injection.mark for done in recover(home)] == [note.mark]
    until(lambda: not shelf.stopped(), what="the fault has outlived its process")
    until(lambda: not watchers(home), what="the watchdog has stayed")
    assert undo_notes.left(home) == recover(home) == []


def test_a_fault_made_after_the_end_of_its_run_by_a_process_that_stands_still(tmp_path: Path, shelf: Shelf) -> None:
    with a_late_thread(tmp_path, shelf, signal.SIGSTOP) as (executor, home):
        (tmp_path / "release").touch()
        until(lambda: process.state(executor.pid, start_ticks(executor.pid) or 0) == "T", what="it does not stop")
        until(lambda: not shelf.stopped(), what="the fault has outlived its lease")
        executor.send_signal(signal.SIGCONT)
        until(lambda: not undo_notes.left(home), what="it is noted for ever")
        until(lambda: not watchers(home), what="the watchdog has stayed")
        assert not shelf.stopped()
    assert recover(home) == []
