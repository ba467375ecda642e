"""A halt and a stop are carried out whatever stands still: the report, the event loop, the journal, the executor."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest

from executor.errors import SafetyRefusalError
from executor.faults.service.hang import Hang
from executor.model.evidence import Event, EventKind, Evidence
from executor.model.plan import Plan
from executor.model.system import System
from executor.run import admission, engine, orders
from executor.run.course import Course, Ending
from executor.safety.halt import halt, resume
from executor.safety.limits import Limits
from executor.safety.settle import settled
from executor.state.home import Home
from executor.state.journal import Injection, Journal
from executor.undo.guardian import Guardian
from tests.crash.conftest import scenes_at
from tests.executor.injections import nothing_left
from tests.executor.kit import LIMITS, Shelf, approve, experiment_on, plan_of, system_of, until

LONG = Limits.model_validate({**LIMITS.model_dump(), "lease_s": 100})
"""What frees a target within a test is the order, not the end of a lease."""


pytestmark = pytest.mark.usefixtures("quick")


class Run:
    """A run with one long hang, in a thread."""

    def __init__(self, home: Home, shelf: Shelf, report: Callable[[Event], None] = lambda _event: None) -> None:
        self.home, self.stop, self.evidence = home, threading.Event(), None
        self._report, self._shelf = report, shelf
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        system = system_of([self._shelf])
        plan = plan_of(system, (experiment_on(system, "base", duration_s=50),))
        self.evidence: Evidence | None = engine.run(
            plan,
            approve(self.home, plan, LONG),
            system=system,
            limits=LONG,
            home=self.home,
            report=self._report,
            stop=self.stop,
        )

    def ended(self) -> Evidence:
        self._thread.join(60)
        assert self.evidence is not None
        return self.evidence


@pytest.mark.parametrize("order", ["halt", "stop"])
def test_a_report_that_blocks_holds_up_nothing(home: Home, shelf: Shelf, order: str) -> None:
    blocked, release = threading.Event(), threading.Event()

    def report(event: Event) -> None:
        if event.kind is EventKind.INJECTED:
            blocked.set()
            assert release.wait(100)

    run = Run(home, shelf, report)
    assert blocked.wait(60)
    assert shelf.stopped()
    if order == "halt":
        halt(home, "a drill")
        assert settled(home) == []
    else:
        run.stop.set()
    until(lambda: not shelf.stopped())
    release.set()
    assert run.ended().outcome == ("halted" if order == "halt" else "interrupted")
    assert nothing_left(home)


def test_a_held_database_delays_only_the_writing_down(home: Home, shelf: Shelf) -> None:
    run = Run(home, shelf)
    until(shelf.stopped)
    until(lambda: [each.state for each in _pending(home)] == ["injected"])
    db = sqlite3.connect(home.journal, isolation_level=None)
    try:
        db.execute("BEGIN EXCLUSIVE")
        halt(home, "a drill")
        assert settled(home) == []
        assert not shelf.stopped()
        free = datetime.now(UTC)
        db.execute("ROLLBACK")
    finally:
        db.close()
    evidence = run.ended()
    assert evidence.outcome == "halted"
    (reverted,) = [event for event in evidence.timeline if event.kind is EventKind.REVERTED]
    assert reverted.wall < free  # when it was, not when it could be written down
    until(lambda: nothing_left(home))


@pytest.mark.parametrize("kind", ["empty", "directory", "pipe"])
def test_whatever_is_in_its_place_halts(home: Home, shelf: Shelf, kind: str) -> None:
    run = Run(home, shelf)
    until(shelf.stopped)
    if kind == "directory":
        home.halt_file.mkdir()
    elif kind == "pipe":
        os.mkfifo(home.halt_file)
    else:
        home.halt_file.touch()
    evidence = run.ended()
    assert evidence.outcome == "halted"
    assert evidence.owed == ()
    assert not shelf.stopped()
    assert nothing_left(home)


@pytest.mark.parametrize("reason", ["caf\udce9", "\x00\x1b[2J", "x" * 100_000])
def test_a_halt_for_whatever_reason_ends_the_run_with_its_evidence(home: Home, shelf: Shelf, reason: str) -> None:
    run = Run(home, shelf)
    until(shelf.stopped)
    halt(home, reason)
    evidence = run.ended()
    assert evidence.outcome == "halted"
    assert not shelf.stopped()
    assert nothing_left(home)


def test_nothing_is_injected_after_a_halt(home: Home, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    real, touched = Journal.arm, threading.Event()

    def arm(self: Journal, *args: Any, **kwargs: Any) -> Injection:
        armed = real(self, *args, **kwargs)
        halt(home, "a drill")  # between the last of the preparations and the stroke
        return armed

    monkeypatch.setattr(Journal, "arm", arm)
    monkeypatch.setattr(Hang, "inject", lambda *_args: touched.set())
    monkeypatch.setattr(orders, "HEED_S", 3.0)  # the run may be over before its orders are looked at
    evidence = Run(home, shelf).ended()
    assert evidence.outcome == "halted"
    assert not touched.is_set()
    assert nothing_left(home)


def test_a_halt_that_is_over_before_anybody_looks_ends_the_run(
    home: Home, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    halt(home, "an earlier one, which is none of the run's business")
    resume(home)
    looks = threading.Semaphore(0)
    real = orders.halting

    def looking(course: Course) -> Ending | None:
        looks.acquire(timeout=60)  # the run looks when the test says so
        return real(course)

    monkeypatch.setattr(orders, "halting", looking)
    run = Run(home, shelf)
    looks.release()
    until(shelf.stopped)
    halt(home, "a drill", by="alice")
    assert resume(home)
    looks.release()
    evidence = run.ended()
    assert evidence.outcome == "halted"
    assert any("alice halted everything: a drill" in event.detail for event in evidence.timeline)
    assert not shelf.stopped()
    assert nothing_left(home)


@pytest.mark.parametrize("over", [False, True], ids=["it goes on", "it is over soon"])
def test_a_halt_while_a_run_begins_refuses_it_and_keeps_its_approval(
    home: Home, shelf: Shelf, monkeypatch: pytest.MonkeyPatch, over: bool
) -> None:
    """Whether the system is well was not told then, so the run may not begin when the halt is over either."""
    start = Guardian.start

    def started(self: Guardian) -> None:
        if over:
            resume(home)
        start(self)

    async def unanswered(plan: Plan, system: System) -> None:
        halt(home, "a drill")
        await anyio.sleep(100)

    monkeypatch.setattr(Guardian, "start", started)

    monkeypatch.setattr(admission, "healthy", unanswered)
    system = system_of([shelf])
    plan = plan_of(system, (experiment_on(system, "base"),))
    approval = approve(home, plan, LONG)
    with pytest.raises(SafetyRefusalError, match="halt"):
        engine.run(plan, approval, system=system, limits=LONG, home=home)
    journal = Journal(home.journal)
    assert journal.used(approval.grant.nonce) == ()
    journal.close()


def test_a_fault_in_the_making_is_undone_when_it_is_made(
    home: Home, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, begun, release = Hang.inject, threading.Event(), threading.Event()

    def slow(self: Hang, record: Mapping[str, Any], lease_s: float) -> dict[str, Any]:
        begun.set()
        assert release.wait(60)
        return real(self, record, lease_s)

    monkeypatch.setattr(Hang, "inject", slow)
    run = Run(home, shelf)
    assert begun.wait(60)
    halt(home, "a drill")
    until(lambda: not _pending(home))  # as far as anybody can tell, it is undone
    release.set()
    evidence = run.ended()
    assert (evidence.outcome, evidence.owed) == ("halted", ())
    assert not shelf.stopped()
    assert nothing_left(home)


@pytest.mark.parametrize("also", ["executor", "both"])
def test_a_halt_reaches_faults_whose_executor_stands_still(tmp_path: Path, also: str) -> None:
    with scenes_at(tmp_path) as (scene,):
        scene.plan(duration_s=50.0, limits=LONG)
        runner = scene.start()
        runner.says("injected")
        watchdogs = scene.watchdogs() if also == "both" else []
        for pid in (runner.process.pid, *watchdogs):
            os.kill(pid, signal.SIGSTOP)
        try:
            halt(scene.home, "a drill")
            assert settled(scene.home) == []
            assert not scene.shelf.stopped()
        finally:
            for pid in (*watchdogs, runner.process.pid):
                os.kill(pid, signal.SIGCONT)
        assert runner.ended() == "outcome halted"
        assert not scene.shelf.stopped()
        assert scene.pending() == []


def _pending(home: Home) -> list[Injection]:
    journal = Journal(home.journal)
    try:
        return journal.pending()
    finally:
        journal.close()
