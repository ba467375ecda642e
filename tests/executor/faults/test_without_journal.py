"""Power is cut and the journal is lost: a sweep in a fresh process restores everything, whatever the fault lives by."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from executor.faults.behaviour import LeaseKind
from executor.faults.registry import behaviour
from executor.state import undo_notes
from executor.state.home import Home
from tests.executor.faults.cases import Bench, Case
from tests.executor.faults.test_contract import CASES, MARK, Injection, marked
from tests.executor.kit import until

ROOT = Path(__file__).parents[3]
RUN = "run-1"
EXECUTOR = """
import json, sys, time
from executor.state import undo_notes
from executor.faults.registry import behaviour
from executor.state.home import Home
from executor.state.journal import Journal
from tests.executor.injections import admit, arm
kind, mark, record, path = json.load(sys.stdin)
home = Home.open(path)
journal = Journal(home.journal)
admit(journal)
armed = arm(journal, mark, kind=kind)
undo_notes.keep(home, armed, record)
record = {**record, **behaviour(kind).inject(record, 120.0)}
undo_notes.keep(home, armed, record)
assert journal.injected(armed.id, record)
print("done", flush=True)
time.sleep(120)
"""
SWEEP = """
import json, sys
from executor.state.home import Home
from executor.undo.sweep import sweep
print(json.dumps([[one.outcome, one.text] for one in sweep(Home.seen(sys.argv[1]))]))
"""
CHOSEN: dict[str, LeaseKind] = {
    "service.hang": "watchdog",
    "service.crash": "watchdog",
    "service.slowdown": "watchdog",
    "data.cache_flush": "watchdog",
    "resource.cpu": "parent_death",
    "data.lock": "parent_death",
    "service.error-managed": "server",
    "service.error-redirect": "kernel",
    "network.loss": "kernel",
    "network.dns": "kernel",
}
"""At least one for each thing that ends a fault; a redirect is a server's that lives by a time-out in the kernel."""


@pytest.fixture
def begin(own_bench: Bench, home: Home) -> Iterator[Callable[[str], Injection]]:
    opened = []
    by_id = {case.id: case for case in CASES}

    def start(name: str) -> Injection:
        case: Case = by_id[name]
        manager = case.open(own_bench)
        opened.append(manager)
        return Injection(case, manager.__enter__(), home.scratch(RUN))

    yield start
    for manager in opened:
        manager.__exit__(None, None, None)


def cut_power(executor: subprocess.Popen[bytes]) -> None:
    """Executor and helpers end in one stroke, and nobody tidies anything up."""
    ours = [p for p in psutil.process_iter(["cmdline"]) if any(MARK in part for part in p.info["cmdline"] or ())]
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for each in (executor, *ours):
            each.send_signal(number)
    executor.wait()


def swept(home: Home) -> list[tuple[str, str]]:
    """What a sweep says of this home, and of what bears this test's mark anywhere."""
    said = subprocess.run(
        [sys.executable, "-c", SWEEP, str(home.path)], cwd=ROOT, capture_output=True, timeout=100, check=True
    )
    return [(outcome, text) for outcome, text in json.loads(said.stdout) if MARK in text or str(home.path) in text]


@pytest.mark.parametrize("name", CHOSEN)
def test_a_power_cut_and_a_lost_journal(name: str, begin: Callable[[str], Injection], home: Home) -> None:
    injection = begin(name)
    executor = subprocess.Popen(
        [sys.executable, "-c", EXECUTOR], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    )
    assert executor.stdin is not None
    assert executor.stdout is not None
    executor.stdin.write(json.dumps([injection.how.kind, MARK, dict(injection.record), str(home.path)]).encode())
    executor.stdin.close()
    try:
        assert executor.stdout.readline() == b"done\n"
        until(injection.subject.faulted)
        assert {outcome for outcome, _ in swept(home)} == {"spared"}, "a run that goes on is not left alone and named"
        until(injection.subject.faulted)
    finally:
        cut_power(executor)
        executor.stdout.close()
    for file in home.path.glob("journal.db*"):
        file.unlink()
    found = swept(home)
    lost = ("unseen", f"{home.journal} cannot be used (it is not there); the notes beside it say what is to be undone")
    assert found[0] == lost
    assert {outcome for outcome, _ in found[1:]} == {"done"}, found
    until(injection.subject.normal, what="the target is not well again")
    until(lambda: injection.subject.state() == injection.before, what=f"not as before: {injection.changes()}")
    until(lambda: not marked(), what=f"processes are left: {marked()}")
    assert undo_notes.left(home) == []
    assert list(home.run_dir(RUN).iterdir()) == []
    assert not home.journal.exists(), "a journal was made that knows nothing"
    assert swept(home) == [lost]


def test_every_lease_is_among_them() -> None:
    kinds = {name: behaviour(name.partition("-")[0]).lease for name in CHOSEN}
    assert {**kinds, "service.error-redirect": "kernel"} == CHOSEN
