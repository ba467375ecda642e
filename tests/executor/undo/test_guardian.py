"""No fault is made without a watchdog: one that dies between two is replaced before the next, or nothing follows."""

from __future__ import annotations

import os
import resource
import signal
from contextlib import suppress

import anyio
import pytest

from executor.errors import UnavailableError
from executor.kernel import process
from executor.model.evidence import Event, EventKind, Evidence
from executor.model.vocabulary import Phase
from executor.run.engine import run
from executor.run.minders import Minders
from executor.state.home import Home
from executor.state.journal import Journal
from executor.undo.guardian import Guardian, Watcher, watchers
from tests.executor.kit import LIMITS, Shelf, approve, experiment_on, plan_of, system_of

pytestmark = pytest.mark.usefixtures("quick")


class Assassin:
    """Kills the watchdog as the second fault is about to be made; nothing but the injection itself looks for it."""

    def __init__(self, home: Home, monkeypatch: pytest.MonkeyPatch, *, replaceable: bool) -> None:
        self.home, self.patch, self.replaceable = home, monkeypatch, replaceable
        self.killed: list[Watcher] = []
        self.watching: list[list[Watcher]] = []
        """At each injection."""

        async def nobody(_self: Minders) -> None:
            await anyio.sleep_forever()

        monkeypatch.setattr(Minders, "mind_watchdog", nobody)

    def __call__(self, event: Event) -> None:
        if event.kind is EventKind.INJECTED:
            self.watching.append(watchers(self.home))
        if event.kind is EventKind.PHASE_STARTED and event.phase is Phase.FAULT and event.experiment == "e2":
            if not self.replaceable:
                self.patch.setattr("executor.undo.guardian.sys.executable", "/bin/false")
            self.killed = watchers(self.home)
            for watcher in self.killed:
                process.send(watcher.found.pid, watcher.found.start_ticks, signal.SIGKILL)
                assert process.wait_gone(watcher.found.pid, watcher.found.start_ticks, 30)


def carried_out(home: Home, shelf: Shelf, report: Assassin) -> Evidence:
    system = system_of([shelf])
    stages = [(experiment_on(system, "base", number=number, duration_s=0.5),) for number in (1, 2)]
    plan = plan_of(system, *stages)
    return run(plan, approve(home, plan), system=system, limits=LIMITS, home=home, report=report)


def test_it_is_replaced_before_the_next_injection(home: Home, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    assassin = Assassin(home, monkeypatch, replaceable=True)
    evidence = carried_out(home, shelf, assassin)
    assert evidence.outcome == "completed"
    first, second = assassin.watching
    assert assassin.killed == first
    assert len(first) == len(second) == 1
    assert first != second
    assert not second[0].orphaned
    assert watchers(home) == []


def test_with_none_to_be_had_nothing_more_is_injected(
    home: Home, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    evidence = carried_out(home, shelf, Assassin(home, monkeypatch, replaceable=False))
    assert evidence.outcome == "aborted"
    made = [event for event in evidence.timeline if event.kind in (EventKind.ARMED, EventKind.INJECTED)]
    assert {event.experiment for event in made} == {"e1"}
    assert any("the watchdog did not start" in e.detail for e in evidence.timeline if e.kind is EventKind.ABORTED)
    journal = Journal(home.journal)
    assert journal.pending() == []
    journal.close()
    assert not shelf.stopped()


@pytest.mark.parametrize("kind", ["a pipe", "a directory", "a link that leads nowhere"])
def test_what_stands_in_its_logs_place_is_said_and_hangs_nobody(home: Home, kind: str) -> None:
    log = home.path / "watchdog.log"
    if kind == "a pipe":
        os.mkfifo(log)
    elif kind == "a directory":
        log.mkdir()
    else:
        log.symlink_to(home.path / "nowhere" / "log")
    with pytest.raises(UnavailableError, match=r"watchdog\.log: the watchdog cannot be started"):
        Guardian(home, "run-1").start()
    assert watchers(home) == []


def test_no_descriptor_for_it_is_said(home: Home) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    held = [os.open(os.devnull, os.O_RDONLY)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (held[0] + 1, hard))
    try:
        with suppress(OSError):
            while True:
                held.append(os.open(os.devnull, os.O_RDONLY))
        with pytest.raises(UnavailableError, match="Too many open files"):
            Guardian(home, "run-1").start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for each in held:
            os.close(each)
