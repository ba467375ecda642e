"""Whatever dies, whenever it dies, no fault outlives its lease."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys

import pytest

from executor.run.engine import load_evidence
from executor.state import audit
from executor.undo.recover import recover
from tests.crash.conftest import Scene
from tests.executor.kit import LIMITS, until

_NOT_TWICE = tuple(
    f"refused refused by {rule}" for rule in ("single use", "concurrent runs", "recovery readiness", "health")
)
"""By the approval, by what runs, or since what it would strike stands still already, or answers nobody."""


def test_two_processes_run_one_approval_once_and_recover_leaves_it_alone(scene: Scene) -> None:
    scene.plan(duration_s=3.0)
    one, other = scene.start(), scene.start()
    until(lambda: "injected" in one.said + other.said)
    assert recover(scene.home) == []
    assert scene.shelf.stopped()
    last = sorted([one.ended(), other.ended()])
    assert last[0] == "outcome completed"
    assert last[1].startswith(_NOT_TWICE)
    assert sum("injected" in runner.said for runner in (one, other)) == 1
    assert scene.pending() == []
    assert not scene.shelf.stopped()


def test_killing_the_executor_in_mid_fault_ends_the_fault_at_once(scene: Scene) -> None:
    run = scene.plan()
    runner = scene.start()
    runner.says("injected")
    assert scene.shelf.stopped()
    runner.process.kill()
    until(lambda: not scene.shelf.stopped(), within_s=LIMITS.lease_s + 10)
    until(scene.shelf.answers)
    until(lambda: not scene.running())
    assert scene.pending() == []
    done = {(e.who, e.what) for e in audit.entries(scene.home)}
    assert {("watchdog", "reverted"), ("watchdog", "run_finished")} <= done
    assert not (scene.home.runs / run / "scratch").exists()


@pytest.mark.parametrize("duration_s", [30.0, 2.0], ids=["within the fault", "beyond the fault"])
def test_a_stopped_executor_loses_its_lease(scene: Scene, duration_s: float) -> None:
    scene.plan(duration_s=duration_s)
    runner = scene.start()
    runner.says("injected")
    os.kill(runner.process.pid, signal.SIGSTOP)
    try:
        until(lambda: not scene.shelf.stopped(), within_s=LIMITS.lease_s + 15)
        until(scene.shelf.answers)
    finally:
        os.kill(runner.process.pid, signal.SIGCONT)
    assert runner.ended() == "outcome aborted"
    assert scene.pending() == []
    assert not scene.shelf.stopped()


def test_killing_executor_and_watchdog_leaves_it_to_recover(scene: Scene) -> None:
    scene.plan()
    runner = scene.start()
    runner.says("injected")
    os.kill(runner.process.pid, signal.SIGSTOP)  # or it would replace its watchdog
    for pid in scene.watchdogs():
        os.kill(pid, signal.SIGKILL)
    runner.process.kill()
    runner.ended()
    assert scene.shelf.stopped()
    assert [done.reverted for done in recover(scene.home)] == [True]
    assert not scene.shelf.stopped()
    assert scene.running() == scene.pending() == []
    assert recover(scene.home) == []


def test_a_journal_that_cannot_be_written_ends_the_fault_with_its_lease(scene: Scene) -> None:
    scene.plan(duration_s=30.0)
    runner = scene.start()
    runner.says("injected")
    db = sqlite3.connect(scene.home.journal, isolation_level=None)
    try:
        db.execute("BEGIN IMMEDIATE")  # nobody can renew a lease, nor note a revert
        until(lambda: not scene.shelf.stopped(), within_s=LIMITS.lease_s + 20)
        db.execute("ROLLBACK")
    finally:
        db.close()
    assert runner.ended() == "outcome aborted"
    until(lambda: not scene.pending())
    assert not scene.shelf.stopped()


def test_a_halt_by_another_process_ends_the_run(scene: Scene) -> None:
    scene.plan(duration_s=30.0)
    runner = scene.start()
    runner.says("injected")
    code = "import sys; from executor.state.home import Home; from executor.safety.halt import halt\n"
    code += "from executor.safety.settle import settled\n"
    code += "home = Home.open(sys.argv[1]); halt(home, 'a drill'); sys.exit(len(settled(home)))"
    subprocess.run([sys.executable, "-c", code, str(scene.home.path)], check=True, timeout=60)
    assert not scene.shelf.stopped()
    assert runner.ended() == "outcome halted"


def test_an_interrupt_that_nobody_handles_leaves_nothing(scene: Scene) -> None:
    run = scene.plan(duration_s=30.0)
    runner = scene.start()
    runner.says("injected")
    runner.process.send_signal(signal.SIGINT)
    runner.ended()
    assert runner.process.returncode != 0
    assert not scene.shelf.stopped()
    assert scene.pending() == scene.running() == []
    evidence = load_evidence(scene.home, run)
    assert evidence is not None
    assert evidence.outcome == "interrupted"
