"""Whatever dies, whenever it dies, no fault outlives its lease."""

from __future__ import annotations

import os
import signal

from executor import audit
from executor.drivers import process
from executor.model.faults.service import Crash
from executor.recover import recover
from tests.crash.conftest import Scene
from tests.crash.runner import MOMENTS
from tests.executor.kit import LIMITS, until


def test_two_processes_run_one_approval_once(scene: Scene) -> None:
    scene.plan(duration_s=1.0)
    one, other = scene.start(), scene.start()
    last = sorted([one.ended(), other.ended()])
    assert last[0] == "outcome completed"
    assert last[1].startswith(("refused refused by single use", "refused refused by concurrent runs"))
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


def test_a_stopped_executor_loses_its_lease(scene: Scene) -> None:
    scene.plan(duration_s=30.0)
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


def test_recover_leaves_a_live_run_alone(scene: Scene) -> None:
    scene.plan(duration_s=2.0)
    runner = scene.start()
    runner.says("injected")
    assert recover(scene.home) == []
    assert scene.shelf.stopped()
    assert runner.ended() == "outcome completed"


def test_dying_with_the_watchdog_at_every_boundary_of_the_journal(scenes: list[Scene]) -> None:
    for scene, moment in zip(scenes, MOMENTS, strict=True):
        scene.plan(duration_s=0.5)
        scene.start(moment, "both")
    for scene in scenes:
        (runner,) = scene.runners
        runner.ended()
        assert runner.process.returncode == -signal.SIGKILL
        assert all(done.reverted for done in recover(scene.home))
        assert scene.pending() == scene.running() == []
        assert not scene.shelf.stopped()
        until(scene.shelf.answers)
        assert audit.verify(scene.home).intact


def test_dying_alone_at_every_boundary_of_a_crash_brings_the_service_back_once(scenes: list[Scene]) -> None:
    for scene, moment in zip(scenes, MOMENTS, strict=True):
        scene.plan(Crash(restart="murphy"), duration_s=0.5)
        scene.start(moment, "alone")
    for scene in scenes:
        (runner,) = scene.runners
        runner.ended()
        until(scene.shelf.answers)
        until(lambda scene=scene: not scene.running())
        assert scene.pending() == []
        process.find(scene.shelf.instance)  # raises if there is more than one
