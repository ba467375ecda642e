"""What is known after a halt, and by whom what is left is undone; with a real process and no run at all."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from executor.errors import UnavailableError
from executor.kernel import process
from executor.safety.halt import halt
from executor.safety.settle import settled
from executor.selftest.parts import put
from executor.state import anchor, undo_notes
from executor.state.home import Home
from executor.state.journal import Injection, Journal
from tests.executor.kit import LIMITS, Shelf, approve, experiment_on, plan_of, system_of, until


def hung(home: Home, journal: Journal, shelf: Shelf, *, noted: bool) -> Injection:
    found = shelf.found()
    assert found is not None
    record = {"instance": "base-1", "members": [[found.pid, found.start_ticks]]}
    about = {"experiment": "e1", "trial": 1, "action": "a1", "kind": "service.hang", "subject": "base-1", "mark": "m1"}
    armed = journal.arm("run-1", **about, record=record, lease_s=100)  # type: ignore[arg-type]
    if noted:
        home.run_dir("run-1")
        undo_notes.keep(home, armed, record)
    process.send(found.pid, found.start_ticks, signal.SIGSTOP)
    journal.injected(armed.id, record)
    until(shelf.stopped)
    return armed


@pytest.mark.parametrize("noted", [True, False])
def test_what_nobody_undoes_is_undone_here(home: Home, journal: Journal, shelf: Shelf, noted: bool) -> None:
    hung(home, journal, shelf, noted=noted)
    assert settled(home, grace_s=0.2) == []
    assert not shelf.stopped()
    assert journal.pending() == []
    assert [injection.by for injection in journal.reverted_by("run-1", "halt")] == ["halt"]
    assert undo_notes.left(home) == []


def test_what_is_undone_and_not_written_down_is_known_at_once(home: Home, journal: Journal, shelf: Shelf) -> None:
    armed = hung(home, journal, shelf, noted=True)
    process.send(*armed.record["members"][0], signal.SIGCONT)
    undo_notes.drop(home, armed)  # as a revert does on a disk that is too full for the journal
    assert settled(home, grace_s=1000) == []
    assert [injection.mark for injection in journal.pending()] == ["m1"]


def test_without_a_journal_the_notes_say_what_to_undo(home: Home, journal: Journal, shelf: Shelf) -> None:
    hung(home, journal, shelf, noted=True)
    journal.close()
    for file in home.path.glob("journal.db*"):
        file.write_bytes(b"no journal" * 100)
    with pytest.raises(UnavailableError, match="journal"):
        settled(home, grace_s=0.2)
    assert not shelf.stopped()
    assert undo_notes.left(home) == []


@pytest.mark.parametrize("lost", ["replaced", "anchor damaged"])
def test_a_journal_that_is_another_now_vouches_for_nothing(
    home: Home, journal: Journal, shelf: Shelf, lost: str
) -> None:
    hung(home, journal, shelf, noted=True)
    journal.close()
    if lost == "replaced":
        home.journal.unlink()
    else:
        anchor.place(home.journal).write_bytes(b"")
    halt(home, "a drill")
    with pytest.raises(UnavailableError, match="not the one that was written" if lost == "replaced" else "anchor"):
        settled(home, grace_s=0.2)
    assert not shelf.stopped()
    assert undo_notes.left(home) == []


def test_what_cannot_be_undone_is_named(
    home: Home, journal: Journal, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object) -> bool:
        raise PermissionError("not yours")

    hung(home, journal, shelf, noted=True)
    with monkeypatch.context() as patch:
        patch.setattr(process, "send", refuse)
        (owed,) = settled(home, grace_s=0.2)
    assert "service.hang on base-1" in owed
    assert "not yours" in owed
    assert [(injection.mark, injection.state) for injection in journal.pending()] == [("m1", "owed")]
    assert settled(home, grace_s=0.2) == []


SLOW = """
import sys, time
from pathlib import Path
from executor.faults.service.hang import Hang
from tests.crash.runner import main
real, release = Hang.inject, Path(sys.argv[1]) / "release"
def slow(self, record, lease_s):
    while not release.exists():
        time.sleep(0.01)
    return real(self, record, lease_s)
Hang.inject = slow
main()
"""


@pytest.fixture
def making(home: Home, shelf: Shelf, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A run in another process, whose fault takes as long to make as ``release`` is missing."""
    system = system_of([shelf])
    plan = plan_of(system, (experiment_on(system, "base", duration_s=1.0),))
    put(tmp_path, plan=plan, approval=approve(home, plan), system=system, limits=LIMITS)
    command = [sys.executable, "-c", SLOW, str(tmp_path)]
    running = subprocess.Popen(command, cwd=Path(__file__).parents[3], stdout=subprocess.DEVNULL)
    until(lambda: [note.being_made for note in undo_notes.left(home)] == [True])
    yield running
    (tmp_path / "release").touch()
    running.wait()


def undone_by_others(home: Home) -> bool:
    """Whether executor and watchdog hold it as undone, though it is not there yet."""
    with closing(Journal(home.journal)) as journal:
        return not journal.pending()


def test_what_is_still_being_made_is_not_undone_yet(
    home: Home, shelf: Shelf, tmp_path: Path, making: subprocess.Popen[bytes]
) -> None:
    halt(home, "a drill")
    until(lambda: undone_by_others(home))
    (said,) = settled(home, grace_s=0.2, making_s=0.2)
    assert said.startswith("service.hang on base-1 (run run-")
    assert said.endswith(f" is still being made by process {making.pid}, which undoes it when it is there")
    assert not shelf.stopped()
    (tmp_path / "release").touch()
    making.wait()
    assert not shelf.stopped()
    assert settled(home) == []
    assert undo_notes.left(home) == []


def test_what_is_still_being_made_is_waited_for(
    home: Home, shelf: Shelf, tmp_path: Path, making: subprocess.Popen[bytes]
) -> None:
    found: list[list[str]] = []
    halt(home, "a drill")
    waiting = threading.Thread(target=lambda: found.append(settled(home, grace_s=0.2, making_s=60)))
    waiting.start()
    until(lambda: undone_by_others(home))
    assert found == []
    (tmp_path / "release").touch()
    waiting.join(60)
    assert found == [[]]
    assert not shelf.stopped()
    assert undo_notes.left(home) == []


def test_what_a_process_was_making_that_died_is_undone(
    home: Home, shelf: Shelf, making: subprocess.Popen[bytes]
) -> None:
    making.kill()
    making.wait()
    assert settled(home) == []
    assert undo_notes.left(home) == []
