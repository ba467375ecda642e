"""Reverting from the journal alone; with behaviours that fail in the ways real ones may."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from executor.errors import UnavailableError
from executor.state.home import Home
from executor.state.journal import Journal
from executor.undo import revert
from executor.undo.revert import undo, undo_all
from tests.executor.injections import Fake, injected


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    made = Fake()
    monkeypatch.setattr(revert, "behaviour", lambda _kind: made)
    monkeypatch.setattr(revert, "BACKOFF_S", (0.01,))
    monkeypatch.setattr(revert, "_GONE_WITHIN_S", 0.1)
    return made


def test_undoing_twice_asks_the_target_once(home: Home, journal: Journal, fake: Fake) -> None:
    one = injected(journal, fake, "m1", "base-1")
    assert undo(journal, home, one, by="executor").reverted
    assert undo(journal, home, one, by="watchdog").reverted
    assert fake.undone == ["m1"]
    assert undo(journal, home, one, by="watchdog", again=True).reverted
    assert fake.undone == ["m1", "m1"]
    assert [i.by for i in journal.reverted_by("run-1", "executor")] == ["executor"]


def test_who_says_that_it_is_undone_is_believed_if_the_target_says_so_too(
    home: Home, journal: Journal, fake: Fake
) -> None:
    one = injected(journal, fake, "m1", "base-1")
    journal.reverted(one.id, by="recover", verified=True)
    assert undo(journal, home, one, by="executor").verified
    assert fake.undone == ["m1"]
    assert undo(journal, home, one, by="executor").verified
    assert fake.undone == ["m1"]


def test_one_target_is_undone_in_reverse_and_others_beside_it(home: Home, journal: Journal, fake: Fake) -> None:
    faults = [injected(journal, fake, f"m{n}", "base-1") for n in range(3)]
    other = injected(journal, fake, "m9", "front-1")
    gate = threading.Event()
    real = fake.revert

    def slow(record: Mapping[str, Any]) -> None:
        if record["name"] == "m9":
            gate.set()
        else:
            assert gate.wait(10)  # the other target does not wait for this one
        real(record)

    fake.revert = slow
    done = undo_all(journal, home, [*faults, other], by="executor")
    assert all(each.reverted and each.verified for each in done)
    assert [name for name in fake.undone if name != "m9"] == ["m2", "m1", "m0"]
    assert [each.injection.mark for each in done] == ["m0", "m1", "m2", "m9"]


def test_one_that_raises_stops_no_other_and_is_owed(home: Home, journal: Journal, fake: Fake) -> None:
    bad, good = injected(journal, fake, "m1", "base-1"), injected(journal, fake, "m2", "front-1")
    real = fake.revert

    def broken(record: Mapping[str, Any]) -> None:
        if record["name"] == "m1":
            raise PermissionError("not yours")
        real(record)

    fake.revert = broken
    results = {each.injection.mark: each for each in undo_all(journal, home, [bad, good], by="executor")}
    assert results["m2"].reverted
    assert "not yours" in results["m1"].error
    assert "service.hang on base-1" in results["m1"].error
    assert [(i.mark, i.state) for i in journal.pending()] == [("m1", "owed")]
    fake.revert = real
    assert undo(journal, home, bad, by="recover").reverted
    assert journal.pending() == []


def test_one_that_hangs_stops_no_other_and_is_reported(home: Home, journal: Journal, fake: Fake) -> None:
    bad, good = injected(journal, fake, "m1", "base-1"), injected(journal, fake, "m2", "front-1")
    release = threading.Event()
    real = fake.revert

    def hanging(record: Mapping[str, Any]) -> None:
        if record["name"] == "m1":
            release.wait(30)
        real(record)

    fake.revert = hanging
    results = undo_all(journal, home, [bad, good], by="executor", each_s=0.5)
    assert [each.reverted for each in results] == [False, True]
    release.set()
    deadline = time.monotonic() + 10
    while journal.pending() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert journal.pending() == []  # its thread finishes late, and writes it down


def test_a_target_that_still_shows_the_fault_is_owed(home: Home, journal: Journal, fake: Fake) -> None:
    one = injected(journal, fake, "m1", "base-1")
    fake.revert = lambda _record: None
    assert "still shows the fault" in undo(journal, home, one, by="executor").error
    assert journal.injection(one.id).state == "owed"


def test_undoing_does_not_wait_for_a_journal_that_is_lost(
    home: Home, journal: Journal, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = injected(journal, fake, "m1", "base-1")

    def lost(*args: object, **kwargs: object) -> object:
        raise UnavailableError("the disk is full.")

    with monkeypatch.context() as patch:
        for name in ("injection", "reverted_all", "owe"):
            patch.setattr(journal, name, lost)
        assert undo(journal, home, one, by="watchdog").reverted
    assert fake.there == set()
    assert [i.mark for i in journal.pending()] == ["m1"]


def test_undoing_does_not_wait_for_a_directory_that_cannot_be_made(
    home: Home, journal: Journal, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = injected(journal, fake, "m1", "base-1")

    def full(self: Home, run: str) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Home, "scratch", full)
    assert undo(journal, home, one, by="watchdog").reverted


def test_undoing_does_not_wait_for_room_to_say_who_undoes(
    home: Home, journal: Journal, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = injected(journal, fake, "m1", "base-1")

    def full(handle: int, content: bytes, offset: int) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    assert undo(journal, home, one, by="watchdog").reverted
    assert fake.there == set()


def test_two_do_not_undo_one_fault_at_a_time(home: Home, journal: Journal, fake: Fake) -> None:
    one = injected(journal, fake, "m1", "base-1")
    inside, most = 0, 0
    real = fake.revert

    def counted(record: Mapping[str, Any]) -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        time.sleep(0.05)
        real(record)
        inside -= 1

    fake.revert = counted
    threads = [threading.Thread(target=undo, args=(journal, home, one), kwargs={"by": "x"}) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, fake.undone) == (1, ["m1"])


def test_a_process_that_stands_still_in_mid_revert_is_not_waited_for(home: Home, journal: Journal, fake: Fake) -> None:
    one = injected(journal, fake, "m1", "base-1")
    code = (
        "import sys, time; from pathlib import Path\n"
        "from executor.undo import revert; from executor.state.home import Home\n"
        "from types import SimpleNamespace\n"
        "with revert._claim(Home(Path(sys.argv[1])), SimpleNamespace(run='run-1', mark='m1')):\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(home.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        waiting = threading.Thread(target=undo, args=(journal, home, one), kwargs={"by": "watchdog"})
        waiting.start()
        waiting.join(0.3)
        assert waiting.is_alive()
        assert fake.undone == []
        holder.send_signal(signal.SIGSTOP)
        waiting.join(20)
        assert fake.undone == ["m1"]
    finally:
        holder.kill()
        holder.communicate()
