"""A thread that makes its fault after the run's end, in a process that dies at that very moment: it is undone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

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
    os.kill(os.getpid(), signal.SIGKILL)
Hang.inject, trial.INJECT_S, conclude.LATE_S = late, 0.3, 0.2
main()
time.sleep(100)
"""


@pytest.mark.parametrize("watchdog", ["watches", "is killed too"])
def test_a_fault_made_after_the_end_of_its_run_by_a_process_that_dies(
    tmp_path: Path, shelf: Shelf, watchdog: str
) -> None:
    home = Home.open(tmp_path / "home")
    system = system_of([shelf])
    plan = plan_of(system, (experiment_on(system, "base", duration_s=1.0),))
    approval = approve(home, plan)
    put(tmp_path, plan=plan, approval=approval, system=system, limits=LIMITS)
    executor = subprocess.Popen([sys.executable, "-c", LATE, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE)
    try:
        assert executor.stdout is not None
        said = list(iter(executor.stdout.readline, b"outcome completed\n"))
        assert b"injected\n" not in said
        journal = Journal(home.journal)
        assert journal.running() == journal.pending() == []
        journal.close()
        (note,) = undo_notes.left(home)
        (watcher,) = watchers(home)
        if watchdog == "is killed too":
            os.kill(watcher.found.pid, signal.SIGKILL)
        (tmp_path / "release").touch()
        assert executor.wait(60) == -signal.SIGKILL
    finally:
        executor.kill()
        executor.communicate()
    if watchdog == "is killed too":
        until(shelf.stopped)
        assert [done.injection.mark for done in recover(home)] == [note.mark]
    until(lambda: not shelf.stopped(), what="the fault has outlived its process")
    until(lambda: not watchers(home), what="the watchdog has stayed")
    assert undo_notes.left(home) == recover(home) == []
