"""What a state machine over runs works on: processes that sleep, plans for them, and what is there at a moment."""

from __future__ import annotations

import itertools
import os
import signal
import socketserver
import subprocess
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from executor.clock import start_ticks
from executor.kernel import process
from executor.model.approval import Approval
from executor.model.digest import digest
from executor.model.faults.service import Hang
from executor.model.plan import Plan
from executor.model.probe import Check, TcpProbe
from executor.model.system import ProcessInstance, Service, System
from executor.safety.approval import installation_of, make_grant
from executor.safety.limits import Limits
from executor.safety.signing import create_key, sign_grant
from executor.state.home import Home
from executor.state.journal import Journal
from tests.executor.forker import said
from tests.executor.kit import LIMITS, experiment_on, plan_of

FAULT_S = 40.0
"""Longer than any step takes: a fault that is gone before was ended by what the step did."""
NAMES = ("one", "two", "guarded")
BED = Limits(**{**dict(LIMITS), "lease_s": 2, "concurrent_runs_max": 2, "concurrent_faults_max": 2})
OTHERS = Limits(**{**dict(BED), "fault_s_max": 59})
numbers = itertools.count(1)


class Sleeper:
    """A process that sleeps, found by a number that no other command line has."""

    def __init__(self, name: str, port: int) -> None:
        self.name, self.port = name, port
        self.seconds = f"{600 + os.getpid() % 100}.{os.getpid()}{next(numbers):04}"
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

    @property
    def alive(self) -> bool:
        return process.alive(self.pid, self.ticks)

    def says(self, word: str) -> bool:
        return any(line.startswith(word) for line in said(self.place))


class Bed:
    """A home, another one whose keys do not count here, and a system of sleepers, one of them protected."""

    def __init__(self, root: Path, port: int) -> None:
        """``port`` answers whoever asks whether the system is well."""
        self.home, self.elsewhere = Home.open(root / "home"), Home.open(root / "elsewhere")
        for home in (self.home, self.elsewhere):
            create_key(home, "operator")
        self.sleepers = {name: Sleeper(name, port) for name in NAMES}
        self.system = System(name="bed", services=tuple(s.service() for s in self.sleepers.values()))

    def state(self, name: str) -> str | None:
        return self.sleepers[name].state()

    def stopped(self) -> list[str]:
        return [name for name in NAMES if self.state(name) == "T"]

    def plan(self, target: str, kind: str) -> Plan:
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

    def approval(self, plan: Plan, kind: str) -> Approval:
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

    def _ask(self, question: Callable[[Journal], Any]) -> Any:
        with closing(Journal(self.home.journal)) as journal:
            return question(journal)

    def injected(self) -> set[str]:
        rows = self._ask(lambda journal: journal.store.read("SELECT DISTINCT run FROM injections"))
        return {str(row["run"]) for row in rows}

    def open(self, name: str) -> list[Any]:
        return [i for i in self._ask(lambda journal: journal.pending()) if i.subject == f"{name}-1"]

    def over(self) -> bool:
        """Whether nothing is pending and no run under way."""
        return not self._ask(lambda journal: [*journal.pending(), *journal.running()])

    def running(self, name: str) -> bool:
        return name in {row.run for row in self._ask(lambda journal: journal.running())}

    def watchdogs(self, run: Run | None = None) -> list[int]:
        home, name = str(self.home.path), run.name if run else ""
        lines = ((pid, process.command_line(pid)) for pid in process.pids())
        return [
            pid
            for pid, line in lines
            if "executor.undo.watchdog" in line and home in line and (not name or name in line)
        ]

    def kill_watchdogs(self, run: Run) -> None:
        for pid in self.watchdogs(run):
            ticks = start_ticks(pid)
            if ticks is not None and process.send(pid, ticks, signal.SIGKILL):
                process.wait_gone(pid, ticks, 30)


class Quick(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        """To connect is enough."""


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 128
