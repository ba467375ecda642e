"""What dead runs have left is undone, live ones are left alone, and state is forgotten only when nobody needs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from executor.errors import OwedRevertError, SafetyRefusalError, UnavailableError
from executor.state import undo_notes
from executor.state.home import Home
from executor.state.journal import Journal, Reach
from executor.undo.recover import forget, recover, recovery
from tests.executor.injections import admit, arm, hang
from tests.executor.kit import Shelf, until


def test_state_is_not_forgotten_while_a_run_is_under_way(tmp_path: Path) -> None:
    home = Home.open(tmp_path)
    journal = Journal(home.journal)
    journal.admit(
        "run-1",
        nonce="0" * 32,
        plan_digest="sha256:" + "0" * 64,
        environment="development",
        reach=Reach(1, 1, 1, ("a-1",)),
        check=lambda _rows: None,
        detail={},
    )
    with pytest.raises(SafetyRefusalError, match="run-1 is not over"):
        forget(home)
    assert home.journal.exists()
    journal.finish("run-1", "completed")
    journal.close()
    forget(home)
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_home_loses_nothing(tmp_path: Path) -> None:
    (tmp_path / "theirs").write_text("", encoding="utf-8")
    forget(Home(tmp_path))
    forget(Home(tmp_path / "none"))
    assert [path.name for path in tmp_path.iterdir()] == ["theirs"]


@pytest.mark.parametrize("who", ["watchdog", "halt", "recover"])
def test_what_others_undid_before_a_run_died_is_undone_again(
    home: Home, journal: Journal, shelf: Shelf, who: str
) -> None:
    """Its executor stood still, was taken care of, and went on for long enough to make the fault after all."""
    hang(journal, shelf, lease_s=60)
    (one,) = journal.pending()
    journal.reverted(one.id, by=who, verified=True)
    with journal.store.write() as db:
        db.execute("UPDATE runs SET start_ticks = start_ticks - 1")
    recover(home)
    assert not shelf.stopped()
    assert journal.running() == []


def test_a_run_that_begins_while_another_is_recovered_is_left_alone(
    home: Home, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Journal.running
    begun = False

    def slow(self: Journal) -> object:
        nonlocal begun
        found = real(self)
        if not begun:
            begun = True
            admit(journal, "run-2")
            arm(journal, run="run-2")
        return found

    monkeypatch.setattr(Journal, "running", slow)
    assert recover(home) == []
    assert [injection.state for injection in journal.pending()] == ["armed"]


def test_a_note_that_cannot_be_read_and_that_no_journal_knows_is_told(home: Home) -> None:
    note = home.run_dir("run-1") / "undo-m1.json"
    note.write_text("{", encoding="utf-8")
    assert str(note) in recovery(home).altered


def test_what_is_owed_is_told_where_the_journal_cannot_be_read(home: Home, journal: Journal) -> None:
    home.run_dir("run-1")
    armed = arm(journal, record={"nothing": "that tells how"}, lease_s=0.1)
    undo_notes.keep(home, armed, armed.record)
    journal.close()
    home.journal.write_bytes(b"no database" * 1000)
    (note,) = home.runs.glob("*/undo-*.json")
    until(lambda: undo_notes.left(home)[0].lapsed)
    with pytest.raises(OwedRevertError, match=r"1 reverts are owed.*m1.*not a database"):
        recovery(home)
    note.write_text("{", encoding="utf-8")
    with pytest.raises(OwedRevertError, match=r"undo-m1\.json cannot be read"):
        recovery(home)
    note.unlink()
    with pytest.raises(UnavailableError, match="not a database"):
        recovery(home)
