"""Any order of plan, approve, run, crash, hang, recover, halt and resume: the promises hold after every step.

Real engine, journal, watchdogs and processes; the model beside them only says what may be there.
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import socketserver
import subprocess
import tempfile
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from executor import audit, undo_notes
from executor.clock import start_ticks
from executor.drivers import process
from executor.engine import run_id
from executor.home import Home
from executor.journal import Journal
from executor.model.approval import Approval
from executor.model.base import Contract
from executor.model.digest import digest
from executor.model.faults.service import Hang
from executor.model.plan import Plan
from executor.model.probe import Check, TcpProbe
from executor.model.system import ProcessInstance, Service, System
from executor.recover import recover
from executor.safety.approval import installation_of, make_grant
from executor.safety.halt import halt, resume
from executor.safety.limits import Limits
from executor.safety.settle import settled
from executor.safety.signing import create_key, sign_grant
from tests.executor.forker import Forker, said
from tests.executor.kit import LIMITS, experiment_on, plan_of, until
from tests.fuzz.effort import FACTOR, effort

FAULT_S = 40.0
"""Longer than any step takes: a fault that is gone before was ended by what the step did."""
NAMES = ("one", "two", "guarded")
BED = Limits(**{**dict(LIMITS), "lease_s": 2, "concurrent_runs_max": 2, "concurrent_faults_max": 2})
OTHERS = Limits(**{**dict(BED), "fault_s_max": 59})
T = TypeVar("T")
_numbers = itertools.count(1)


class Sleeper:
    """A process that sleeps, found by a number that no other command line has."""

    def __init__(self, name: str, port: int) -> None:
        self.name, self.port = name, port
        self.seconds = f"{600 + os.getpid() % 100}.{os.getpid()}{next(_numbers):04}"
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(["sleep", self.seconds], start_new_session=True)
        self.ticks = start_ticks(self.process.pid) or 0

    def state(self) -> str | None:
        return process.state(self.process.pid, self.ticks)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()

    def service(self) -> Service:
        check = Check(id=self.name, service=self.name, probe=TcpProbe(port=self.port), rate_hz=20)
        instance = ProcessInstance(id=f"{self.name}-1", command=f"sleep {self.seconds}")
        return Service(name=self.name, instances=(instance,), operations=(check,), protected=self.name == "guarded")


@dataclass
class Offer:
    """A plan with an approval, and whether the model lets it run."""

    target: str
    plan: Plan
    approval: Approval
    good: bool
    used: bool = False


@dataclass
class Run:
    """A run that has begun."""

    name: str
    target: str
    pid: int
    ticks: int
    place: Path
    state: Literal["live", "left", "over"] = "live"
    """``left``: executor and watchdog are dead, and what they did is there."""
    spoke: list[str] = field(default_factory=list)


class Promises(RuleBasedStateMachine):
    """What may be injected, what is live or left, whether all is halted, which approvals are used."""

    forker: ClassVar[Forker]
    port: ClassVar[int]

    @initialize()
    def begin(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="murphy-test-"))
        self.home = Home.open(self.root / "home")
        self.elsewhere = Home.open(self.root / "elsewhere")
        for home in (self.home, self.elsewhere):
            create_key(home, "operator")
        self.sleepers = {name: Sleeper(name, self.port) for name in NAMES}
        self.system = System(name="bed", services=tuple(s.service() for s in self.sleepers.values()))
        self.offers: list[Offer] = []
        self.runs: list[Run] = []
        self.halted = False
        self.begun: set[str] = set()

    # What people do.

    @rule(
        target_name=st.sampled_from(["one", "two", "one", "two", "guarded"]),
        plan=st.sampled_from(["good", "good", "good", "too long", "drifted"]),
        approval=st.sampled_from(["good", "good", "good", "expired", "other limits", "other key", "other plan"]),
    )
    def offer(self, target_name: str, plan: str, approval: str) -> None:
        made = self._plan(target_name, plan)
        good = target_name != "guarded" and plan == approval == "good"
        self.offers.append(Offer(target_name, made, self._approval(made, approval), good))

    @precondition(lambda self: self.offers)
    @rule(data=st.data())
    def run(self, data: st.DataObject) -> None:
        self._run(_one(data, self.offers))

    @precondition(lambda self: not self.halted and len(self._those("live")) < 2)
    @rule(target_name=st.sampled_from(["one", "two"]))
    def approve_and_run(self, target_name: str) -> None:
        made = self._plan(target_name, "good")
        self.offers.append(Offer(target_name, made, self._approval(made, "good"), good=True))
        self._run(self.offers[-1])

    def _run(self, offer: Offer) -> None:
        place = self.root / f"run-{next(_numbers)}"
        parts: dict[str, Contract] = {"plan": offer.plan, "approval": offer.approval}
        before = self._injected()
        pid = self.forker.run(self.home, place, **parts, system=self.system, limits=BED)
        run = Run(run_id(offer.approval), offer.target, pid, start_ticks(pid) or 0, place)
        for left in self._those("left"):  # who begins, or tries to, first recovers what the dead have left
            left.state = "over"
        if self._may_begin(offer):
            until(lambda: _has(run, "injected") or not self._alive(run), within_s=90)
            assert _has(run, "injected"), said(place)
            assert self.sleepers[offer.target].state() == "T"
            offer.used = True
            self.begun.add(run.name)
            self.runs.append(run)
        else:
            until(lambda: not self._alive(run), within_s=90)
            assert said(place)[-1].startswith("refused"), said(place)
            assert self._injected() == before

    def _may_begin(self, offer: Offer) -> bool:
        live = self._those("live")
        free = len(live) < BED.concurrent_runs_max and offer.target not in {run.target for run in live}
        there = self.sleepers[offer.target].state() is not None
        return offer.good and not offer.used and not self.halted and free and there

    @precondition(lambda self: not self.halted and self.runs)
    @rule()
    def halt(self) -> None:
        halt(self.home, "a drill", by="tester")
        self.halted = True
        for run in self._those("live"):
            self._until_over(run)
            assert _has(run, "outcome halted"), said(run.place)
        if not self._those("left"):
            assert settled(self.home) == []

    @precondition(lambda self: self.halted)
    @rule()
    def resume(self) -> None:
        assert resume(self.home, by="tester")
        self.halted = False

    @precondition(lambda self: self.runs)
    @rule(at_once=st.sampled_from([1, 2, 3]))
    def recover(self, at_once: int) -> None:
        failures: list[str] = []

        def work() -> None:
            failures.extend(done.error for done in recover(self.home) if not done.reverted)

        threads = [threading.Thread(target=work) for _ in range(at_once)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(90)
        assert not failures
        for run in self._those("left"):
            run.state = "over"
        for run in self._those("live"):
            assert self._alive(run), said(run.place)
            assert self.sleepers[run.target].state() in ("T", None)

    # What happens to processes.

    @precondition(lambda self: self._those("live"))
    @rule(data=st.data(), victim=st.sampled_from(["executor", "watchdog", "both"]))
    def kill(self, data: st.DataObject, victim: str) -> None:
        run = _one(data, self._those("live"))
        if victim == "watchdog":
            self._kill_watchdogs(run)
            until(lambda: self._watchdogs(run) or not self._alive(run), within_s=60)  # it is replaced
            return
        if victim == "both":
            process.send(run.pid, run.ticks, signal.SIGSTOP)  # or it would replace its watchdog
            self._kill_watchdogs(run)
        process.send(run.pid, run.ticks, signal.SIGKILL)
        until(lambda: not self._alive(run))
        if victim == "both":
            run.state = "left"
        else:
            self._until_over(run)

    @precondition(lambda self: self._those("live"))
    @rule(data=st.data())
    def hang(self, data: st.DataObject) -> None:
        run = _one(data, self._those("live"))
        process.send(run.pid, run.ticks, signal.SIGSTOP)
        until(lambda: self.sleepers[run.target].state() != "T", within_s=60)
        process.send(run.pid, run.ticks, signal.SIGCONT)
        self._until_over(run)
        assert _has(run, "outcome aborted"), said(run.place)

    @precondition(lambda self: self.runs)
    @rule(name=st.sampled_from(["one", "two"]))
    def end_target(self, name: str) -> None:
        self.sleepers[name].end()
        for run in self._those("live"):
            if run.target == name:
                self._until_over(run)

    @precondition(lambda self: any(sleeper.state() is None for sleeper in self.sleepers.values()))
    @rule()
    def start_targets(self) -> None:
        """Their successors are found by the same words, and must not get what was meant for those before."""
        for sleeper in self.sleepers.values():
            if sleeper.state() is None:
                sleeper.start()

    # What must hold.

    @invariant()
    def only_what_was_approved(self) -> None:
        if hasattr(self, "home"):
            assert self._injected() <= self.begun

    @invariant()
    def every_fault_can_be_undone(self) -> None:
        for name, sleeper in getattr(self, "sleepers", {}).items():
            if sleeper.state() == "T":
                known = self._open(name) and any(note.subject == f"{name}-1" for note in undo_notes.left(self.home))
                assert known or sleeper.state() != "T", f"{name} stands still, and nobody knows how to wake it"

    @invariant()
    def the_sum_is_within_limits(self) -> None:
        stopped = [name for name, sleeper in getattr(self, "sleepers", {}).items() if sleeper.state() == "T"]
        assert "guarded" not in stopped
        owners = [run.target for run in getattr(self, "runs", ()) if run.state in ("live", "left")]
        assert set(stopped) <= set(owners)
        assert len(stopped) <= BED.concurrent_faults_max

    @invariant()
    def nothing_is_live_while_halted(self) -> None:
        assert not (getattr(self, "halted", False) and self._those("live"))

    @invariant()
    def the_trail_is_whole(self) -> None:
        if hasattr(self, "home"):
            assert audit.verify(self.home).intact

    def teardown(self) -> None:
        """Let all settle: then nothing is left."""
        if not hasattr(self, "root"):
            return
        try:
            if self.halted:
                resume(self.home, by="tester")
            for run in self._those("live"):
                process.send(run.pid, run.ticks, signal.SIGKILL)
                self._until_over(run)
            recover(self.home)
            until(lambda: not self._watchdogs(), within_s=60)
            assert [name for name, sleeper in self.sleepers.items() if sleeper.state() == "T"] == []
            with closing(Journal(self.home.journal)) as journal:
                assert journal.pending() == journal.running() == []
            assert undo_notes.left(self.home) == []
            assert list(self.home.runs.glob("*/scratch")) == []
        finally:
            for run in self.runs:
                process.send(run.pid, run.ticks, signal.SIGKILL)
            for sleeper in self.sleepers.values():
                sleeper.end()
            shutil.rmtree(self.root)

    # How it is done and seen.

    def _plan(self, target: str, kind: str) -> Plan:
        duration_s = BED.fault_s_max + 1 if kind == "too long" else FAULT_S
        experiment = experiment_on(
            self.system, target, Hang(), duration_s=duration_s, checks=self._checks(), hypotheses=self._expects(target)
        )
        plan = plan_of(self.system, (experiment,))
        if kind == "drifted":
            plan = Plan(**{**dict(plan), "system_digest": digest(BED)})
        return plan

    def _checks(self) -> tuple[Check, ...]:
        return self.system.service("guarded").operations

    def _expects(self, target: str) -> Any:
        first, *_ = experiment_on(self.system, "guarded").hypotheses
        return (type(first)(**{**dict(first), "place": target}),)

    def _approval(self, plan: Plan, kind: str) -> Approval:
        home = self.elsewhere if kind == "other key" else self.home
        of = Plan(**{**dict(plan), "goal": "something else"}) if kind == "other plan" else plan
        now = datetime.now(UTC) - timedelta(hours=2 if kind == "expired" else 0)
        grant = make_grant(
            of,
            OTHERS if kind == "other limits" else BED,
            approver="operator",
            basis="person",
            valid_s=3600,
            now=now,
            installation=installation_of(self.home),
        )
        return sign_grant(home, "operator", grant)

    def _those(self, state: str) -> list[Run]:
        return [run for run in getattr(self, "runs", ()) if run.state == state]

    def _alive(self, run: Run) -> bool:
        return process.alive(run.pid, run.ticks)

    def _until_over(self, run: Run) -> None:
        until(lambda: not self._alive(run), within_s=90, what=f"{run.name} goes on")
        until(lambda: not self._open(run.target) and not self._running(run.name), within_s=90)
        assert self.sleepers[run.target].state() != "T"
        run.state = "over"

    def _ask(self, question: Callable[[Journal], Any]) -> Any:
        with closing(Journal(self.home.journal)) as journal:
            return question(journal)

    def _injected(self) -> set[str]:
        rows = self._ask(lambda journal: journal.store.read("SELECT DISTINCT run FROM injections"))
        return {str(row["run"]) for row in rows}

    def _open(self, name: str) -> list[Any]:
        return [i for i in self._ask(lambda journal: journal.pending()) if i.subject == f"{name}-1"]

    def _running(self, name: str) -> bool:
        return name in {row.run for row in self._ask(lambda journal: journal.running())}

    def _watchdogs(self, run: Run | None = None) -> list[int]:
        home, name = str(self.home.path), run.name if run else ""
        lines = ((pid, process.command_line(pid)) for pid in process.pids())
        return [
            pid for pid, line in lines if "executor.watchdog" in line and home in line and (not name or name in line)
        ]

    def _kill_watchdogs(self, run: Run) -> None:
        for pid in self._watchdogs(run):
            os.kill(pid, signal.SIGKILL)
            until(lambda pid=pid: start_ticks(pid) is None)


def _one(data: st.DataObject, those: list[T]) -> T:
    return those[data.draw(st.integers(0, 11)) % len(those)]


def _has(run: Run, word: str) -> bool:
    return any(line.startswith(word) for line in said(run.place))


class _Quick(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        """To connect is enough."""


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 128


def test_the_promises_hold_whatever_happens_in_whatever_order() -> None:
    Promises.forker = Forker()
    with _Server(("127.0.0.1", 0), _Quick) as server:
        Promises.port = server.server_address[1]
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        serving.start()
        try:
            run_state_machine_as_test(Promises, settings=effort(5, stateful_step_count=10 if FACTOR == 1 else 25))
        finally:
            server.shutdown()
            serving.join()
            Promises.forker.close()
