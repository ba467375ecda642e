"""How ``murphy run`` ends when it is told to, and when nobody takes what it says: everything is undone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from executor.safety.limits import Limits
from executor.state.home import Home
from executor.state.journal import Journal
from knowledge.topology.annotations import save_system
from planner import files
from tests.executor.kit import Shelf, approve, experiment_on, plan_of, shelves, system_of, until

ROOT = str(Path(__file__).parents[3])
LIMITS = Limits()


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    with shelves("base") as (made,):
        yield made


def begin(directory: Path, shelf: Shelf, *, duration_s: float, out: int | IO[bytes]) -> subprocess.Popen[bytes]:
    home = Home.open(directory / "home")
    system = system_of([shelf])
    plan = plan_of(system, (experiment_on(system, "base", duration_s=duration_s, recovery_deadline_s=5),))
    save_system(system, directory / "system.yaml")
    files.save(plan, directory / "plan.json")
    files.save(approve(home, plan, LIMITS), directory / "plan.approval.json")
    return subprocess.Popen(
        [sys.executable, "-m", "planner.cli.main", "run"],
        cwd=directory,
        env={**os.environ, "MURPHY_HOME": str(home.path), "PYTHONPATH": ROOT, "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=subprocess.PIPE,
    )


def nothing_left(directory: Path) -> bool:
    journal = Journal(directory / "home" / "journal.db")
    try:
        return not journal.pending() and not journal.running()
    finally:
        journal.close()


@pytest.mark.slow
def test_signals_end_a_run_in_order_however_many_come(shelf: Shelf, tmp_path: Path) -> None:
    process = begin(tmp_path, shelf, duration_s=50, out=subprocess.PIPE)
    try:
        until(lambda: process.poll() is not None or shelf.stopped(), within_s=100, what="the fault is not there")
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
            process.send_signal(number)
        out, err = process.communicate(timeout=100)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130, err
    assert "ending: everything is being undone" in err.decode()
    assert "Traceback" not in err.decode() + out.decode()
    assert not shelf.stopped()
    assert nothing_left(tmp_path)


@pytest.mark.slow
def test_a_run_whose_output_nobody_takes_goes_on_to_its_end(shelf: Shelf, tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        process = begin(tmp_path, shelf, duration_s=2, out=full)
    _, err = process.communicate(timeout=110)
    assert process.returncode == 1, err  # what it has found
    assert err.decode() == "murphy: what was to be printed could not be written: No space left on device.\n"
    assert not shelf.stopped()
    assert nothing_left(tmp_path)
