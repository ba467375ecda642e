"""What is known after a halt, and by whom what is left is undone; with a real process and no run at all."""

from __future__ import annotations

import signal

import pytest

from executor.drivers import process
from executor.errors import UnavailableError
from executor.safety.settle import settled
from executor.state import undo_notes
from executor.state.home import Home
from executor.state.journal import Injection, Journal
from tests.executor.kit import Shelf


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
    assert shelf.stopped()
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
