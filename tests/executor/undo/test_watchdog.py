"""The watchdog by itself; how it acts when executors die is in tests/crash."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from executor.clock import own_ticks, start_ticks
from executor.drivers.targets import ProcessTarget
from executor.errors import UnavailableError
from executor.faults.behaviour import Context
from executor.faults.registry import behaviour
from executor.kernel import locate, process
from executor.model.faults.service import Crash
from executor.model.system import ProcessInstance
from executor.safety.halt import halt, resume
from executor.safety.settle import settled
from executor.state import undo_notes
from executor.state.home import Home
from executor.state.journal import Journal
from executor.undo import revert, watchdog
from executor.undo.guardian import Guardian
from executor.undo.watchdog import Watchdog
from tests.executor.injections import Fake, admit, arm, hang, injected
from tests.executor.kit import Shelf, proxied, system_of, until

HEAVY = (
    *("anthropic", "anyio", "asyncio", "chromadb", "cryptography", "fastapi", "httpx", "networkx", "numpy"),
    *("openai", "psutil", "psycopg", "pydantic", "redis", "rfc8785", "sqlalchemy", "ssl"),
)
RESIDENT_BYTES_MAX = 45 * 1024 * 1024
_MAKER = """
import sys
from pathlib import Path
from executor.state import undo_notes
from executor.state.home import Home
from executor.state.journal import Journal
home = Home(Path(sys.argv[1]))
(one,) = Journal(home.journal).pending()
home.run_dir(one.run)
undo_notes.keep(home, one, one.record)
undo_notes.making(home, one)
print("making", flush=True)
sys.stdin.read()
undo_notes.made(home, one)
"""
"""Another process that is making the only fault until its standard input ends."""


@pytest.fixture
def journal(home: Home) -> Iterator[Journal]:
    made = Journal(home.journal)
    yield made
    made.close()


@pytest.fixture
def guardian(home: Home, journal: Journal) -> Iterator[Guardian]:
    made = Guardian(home, "run-1")
    made.start()
    yield made
    journal.finish("run-1", "completed")
    made.leave()
    assert made.exited()


def looks(own: Watchdog) -> None:
    """Look, and then until all that it began has come to its end."""
    own.look()
    while own.beside:
        time.sleep(0.01)
        own.look()


def test_it_loads_nothing_heavy() -> None:
    code = f"import sys, executor.undo.watchdog; print([m for m in {HEAVY!r} if m in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert said.stdout.strip() == "[]"


def test_it_stays_small(guardian: Guardian) -> None:
    assert guardian.pid is not None
    pages = int(Path(f"/proc/{guardian.pid}/statm").read_text(encoding="ascii").split()[1])
    assert pages * os.sysconf("SC_PAGE_SIZE") < RESIDENT_BYTES_MAX


def test_it_is_in_a_session_of_its_own(guardian: Guardian) -> None:
    assert guardian.pid is not None
    assert os.getsid(guardian.pid) == guardian.pid != os.getsid(0)


def test_it_leaves_when_its_executor_was_refused(home: Home) -> None:
    guardian = Guardian(home, "run-1")
    guardian.start()
    pid = guardian.pid
    assert pid is not None
    guardian.leave(within_s=30)
    assert start_ticks(pid) is None


def test_it_does_not_touch_another_executors_run(home: Home, journal: Journal, shelf: Shelf) -> None:
    """Two processes try the same approval: the loser's watchdog must not undo the winner's faults when it dies."""
    code = (
        "import sys; from pathlib import Path\n"
        "from executor.undo.guardian import Guardian; from executor.state.home import Home\n"
        "g = Guardian(Home(Path(sys.argv[1])), 'run-1'); g.start(); print(g.pid, flush=True); sys.stdin.read()"
    )
    loser = subprocess.Popen(
        [sys.executable, "-c", code, str(home.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert loser.stdout is not None
    watchdog = int(loser.stdout.readline())
    ticks = start_ticks(watchdog)
    admit(journal)
    hang(journal, shelf, lease_s=60)
    loser.kill()
    loser.communicate()
    until(lambda: start_ticks(watchdog) != ticks)
    assert shelf.stopped()
    assert [row.run for row in journal.running()] == ["run-1"]


def test_a_lapsed_lease_is_undone_while_the_executor_lives(journal: Journal, guardian: Guardian, shelf: Shelf) -> None:
    admit(journal)
    hang(journal, shelf, lease_s=1.5)
    until(lambda: not shelf.stopped())
    until(lambda: not journal.pending("run-1"))
    assert journal.state_of("run-1", os.getpid(), own_ticks()) == "running"


def test_a_revert_that_hangs_holds_up_no_other(journal: Journal, guardian: Guardian, tmp_path: Path) -> None:
    """A fault proxy that stands still keeps whoever asks it waiting."""
    with proxied(tmp_path) as ((base, _front), _system):
        proxy = locate.find(ProcessInstance(id="proxy", command=str(tmp_path / "proxy.json")))
        process.send(proxy.pid, proxy.start_ticks, signal.SIGSTOP)
        try:
            admit(journal)
            managed = [{"control": str(tmp_path / "control.sock"), "edge": "front->base"}]
            edge = {"mark": "m2", "managed": managed, "redirected": [], "table": ""}
            hanging = arm(journal, "m2", kind="network.latency", subject="front->base", record=edge, lease_s=0.5)
            hang(journal, base, lease_s=1.5)
            until(lambda: not base.stopped())
            assert journal.injection(hanging.id).state == "armed", "the other one waited for its end"
        finally:
            process.send(proxy.pid, proxy.start_ticks, signal.SIGCONT)
        until(lambda: not journal.pending("run-1"))


def test_what_is_owed_is_tried_again_while_its_executor_lives(
    home: Home, journal: Journal, guardian: Guardian, shelf: Shelf
) -> None:
    admit(journal)
    found, scratch, crash = shelf.found(), home.scratch("run-1"), behaviour("service.crash")
    assert found is not None
    target = ProcessTarget(shelf.service(), "base-1", found.pid, found.start_ticks, shelf.port)
    record = crash.prepare(Crash(restart="murphy"), target, Context(system_of([shelf]), "m1", str(scratch)))
    armed = arm(journal, kind="service.crash", record=record, lease_s=1.0)
    needed = scratch / "m1.environ"
    needed.rename(scratch / "aside")
    crash.inject(record, 1.0)
    until(lambda: journal.injection(armed.id).state == "owed")
    (scratch / "aside").rename(needed)
    until(lambda: not journal.pending("run-1"))
    assert journal.state_of("run-1", os.getpid(), own_ticks()) == "running"
    until(shelf.answers)


def test_one_revert_is_not_begun_twice_at_a_time(home: Home, journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    fake, release, begun = Fake(), threading.Event(), []
    real = fake.revert

    def hanging(record: Mapping[str, Any]) -> None:
        begun.append(record["name"])
        assert release.wait(60)
        real(record)

    fake.revert = hanging
    monkeypatch.setattr(revert, "behaviour", lambda _kind: fake)
    monkeypatch.setattr(watchdog, "EACH_S", 0.1)
    admit(journal)
    one = injected(journal, fake, "m1", "base-1")
    halt(home, "a drill")
    pidfd = os.pidfd_open(os.getpid())
    own = Watchdog(home, "run-1", pidfd, os.getpid(), own_ticks())
    until(lambda: own.look() or journal.injection(one.id).state == "owed")
    for _ in range(5):
        own.look()
    assert begun == ["m1"]
    release.set()
    looks(own)
    assert begun == fake.undone == ["m1"]
    assert journal.pending() == []
    own.journal.close()
    os.close(pidfd)


def test_a_halt_is_carried_out_even_if_the_executor_does_not(
    home: Home, journal: Journal, guardian: Guardian, shelf: Shelf
) -> None:
    admit(journal)
    hang(journal, shelf, lease_s=60)
    halt(home, "a drill")
    assert settled(home) == []
    assert not shelf.stopped()
    assert resume(home)
    assert not resume(home)


def test_it_goes_by_what_it_knew_when_the_journal_is_lost(
    home: Home, journal: Journal, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    admit(journal)
    hang(journal, shelf, lease_s=1.5)
    pidfd = os.pidfd_open(os.getpid())
    own = Watchdog(home, "run-1", pidfd, os.getpid(), own_ticks())
    own.read()
    until(lambda: own.known[0].lapsed)

    def lost(*args: object) -> object:
        raise UnavailableError("the disk is gone.")

    with monkeypatch.context() as patch:
        for name in ("read", "write"):
            patch.setattr(own.journal.store, name, lost)
        looks(own)
        assert not shelf.stopped()
        assert own.known == [], "what is undone is not undone again and again"
    own.journal.close()
    os.close(pidfd)


def test_it_undoes_what_an_executor_left_that_died_while_it_started(home: Home, journal: Journal, shelf: Shelf) -> None:
    """As when it replaces one that is dead: then there is a fault already."""
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from executor.undo import guardian; from executor.state.home import Home\n"
        "from executor.state.journal import Journal; from tests.executor.injections import admit\n"
        "home = Home(Path(sys.argv[1])); admit(Journal(home.journal)); sys.stdin.readline()\n"
        "guardian.Guardian._hear = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "guardian.Guardian(home, 'run-1').start()"
    )
    executor = subprocess.Popen([sys.executable, "-c", code, str(home.path)], stdin=subprocess.PIPE)
    until(journal.running)
    hang(journal, shelf, lease_s=60)
    executor.communicate(b"\n")
    until(lambda: not shelf.stopped())
    until(lambda: not journal.running())
    assert journal.pending() == []


def test_what_is_undone_and_cannot_be_written_down_is_not_undone_again(
    home: Home, journal: Journal, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    admit(journal)
    hang(journal, shelf, lease_s=0.5)
    until(lambda: all(i.lapsed for i in journal.pending()))
    pidfd = os.pidfd_open(os.getpid())
    own = Watchdog(home, "run-1", pidfd, os.getpid(), own_ticks())

    def full() -> object:
        raise UnavailableError("the disk is full.")

    with monkeypatch.context() as patch:
        patch.setattr(own.journal.store, "write", full)
        looks(own)
        assert not shelf.stopped()
        (found,) = journal.pending()
        process.send(*found.record["members"][0], signal.SIGSTOP)
        until(shelf.stopped)
        looks(own)
        assert own.known == []
        assert shelf.stopped(), "somebody else's doing was undone"
        home.run_dir("run-1")
        undo_notes.keep(home, found, found.record)  # as a thread does that makes it after all
        own.read(anew=True)
        looks(own)
        assert not shelf.stopped()
    own.journal.close()
    os.close(pidfd)


def test_what_was_made_after_it_was_undone_is_undone_again(home: Home, journal: Journal, shelf: Shelf) -> None:
    """A thread was so slow that its lease lapsed; it made its fault all the same, and died before it took it back."""
    admit(journal)
    hang(journal, shelf, lease_s=0.5)
    (armed,) = journal.pending()
    until(lambda: journal.injection(armed.id).lapsed)
    pidfd = os.pidfd_open(os.getpid())
    own = Watchdog(home, "run-1", pidfd, os.getpid(), own_ticks())
    looks(own)
    assert not shelf.stopped()
    assert journal.pending() == []
    process.send(*armed.record["members"][0], signal.SIGSTOP)
    assert not journal.injected(armed.id, armed.record)
    assert undo_notes.left(home) == []
    own.dead = True
    assert own.watch() == 0
    assert not shelf.stopped()
    assert journal.pending() == []
    own.journal.close()
    os.close(pidfd)


def test_what_its_executor_makes_after_it_was_undone_and_then_hangs_again_is_undone(
    home: Home, journal: Journal, shelf: Shelf
) -> None:
    """It stood still twice: while its lease lapsed, and again right after it had made its fault."""
    admit(journal)
    hang(journal, shelf, lease_s=0.5)
    (armed,) = journal.pending()
    until(lambda: journal.injection(armed.id).lapsed)
    maker = subprocess.Popen(
        [sys.executable, "-c", _MAKER, str(home.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert maker.stdout is not None
    assert maker.stdout.readline() == b"making\n"
    pidfd = os.pidfd_open(os.getpid())
    own = Watchdog(home, "run-1", pidfd, os.getpid(), own_ticks())
    try:
        looks(own)
        assert not shelf.stopped()
        assert journal.pending() == []
        process.send(*armed.record["members"][0], signal.SIGSTOP)  # made after all, and never told
        until(lambda: (looks(own), not shelf.stopped())[1])
        maker.communicate()  # its thread has come to its end
        until(lambda: (looks(own), not own.known)[1])
        assert undo_notes.left(home) == []
    finally:
        maker.kill()
        maker.communicate()
        own.journal.close()
        os.close(pidfd)


def test_a_guardian_replaces_a_watchdog_that_is_dead_or_hangs(journal: Journal, guardian: Guardian) -> None:
    admit(journal)
    assert not guardian.ensure()
    for number in (signal.SIGKILL, signal.SIGSTOP):
        before = guardian.pid
        assert before is not None
        os.kill(before, number)
        assert guardian.ensure()
        assert guardian.pid != before
        assert not guardian.ensure()
