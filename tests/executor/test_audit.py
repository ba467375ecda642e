from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from executor import anchor, audit
from executor.home import Home
from executor.journal import Journal


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home.open(tmp_path / "home")
    journal = Journal(made.journal)
    for number in range(6):
        journal.note("tester", "noted", number=number, words="ä → ß")
    journal.close()
    return made


def tamper(home: Home, *statements: str) -> None:
    """As somebody would who can write the file: the triggers are no obstacle to that."""
    db = sqlite3.connect(home.journal)
    with db:
        db.execute("DROP TRIGGER audit_keeps")
        db.execute("DROP TRIGGER audit_stays")
        for statement in statements:
            db.execute(statement)
    db.close()


def test_an_untouched_trail_is_intact(home: Home) -> None:
    seen = audit.verify(home)
    assert (seen.intact, seen.entries, seen.faults) == (True, 6, ())
    assert [entry.detail["number"] for entry in audit.entries(home)] == list(range(6))
    assert audit.verify(home, head=seen.head).intact


@pytest.mark.parametrize("sql", ["DELETE FROM audit WHERE seq = 3", "UPDATE audit SET who = 'me' WHERE seq = 3"])
def test_ordinary_writing_cannot_change_it(home: Home, sql: str) -> None:
    db = sqlite3.connect(home.journal)
    with pytest.raises(sqlite3.IntegrityError, match="only grows"):
        db.execute(sql)
    db.close()


EDITS: dict[str, tuple[Callable[[Home], None], str]] = {
    "edited": (lambda home: tamper(home, "UPDATE audit SET who = 'somebody' WHERE seq = 3"), "row 3 was edited"),
    "detail edited": (lambda home: tamper(home, "UPDATE audit SET detail = '{}' WHERE seq = 4"), "row 4 was edited"),
    "removed": (lambda home: tamper(home, "DELETE FROM audit WHERE seq = 3"), "row 3 is missing"),
    "removed and renumbered": (
        lambda home: tamper(home, "DELETE FROM audit WHERE seq = 3", "UPDATE audit SET seq = seq - 1 WHERE seq > 3"),
        "row 3 does not follow",
    ),
    "reordered": (
        lambda home: tamper(
            home,
            "UPDATE audit SET seq = 99 WHERE seq = 3",
            "UPDATE audit SET seq = 3 WHERE seq = 4",
            "UPDATE audit SET seq = 4 WHERE seq = 99",
        ),
        "row 3 does not follow",
    ),
    "first removed": (lambda home: tamper(home, "DELETE FROM audit WHERE seq = 1"), "row 1 is missing"),
}


@pytest.mark.parametrize("how", EDITS)
def test_tampering_is_found(home: Home, how: str) -> None:
    edit, words = EDITS[how]
    edit(home)
    seen = audit.verify(home)
    assert not seen.intact
    assert words in seen.faults[0]


def test_a_trail_cut_off_together_with_its_anchor_is_found_by_a_head_kept_elsewhere(home: Home) -> None:
    early, head = anchor.place(home.journal).read_bytes(), audit.verify(home).head
    journal = Journal(home.journal)
    journal.note("tester", "last")
    journal.close()
    late = audit.verify(home).head
    tamper(home, "DELETE FROM audit WHERE seq > 6")
    anchor.place(home.journal).write_bytes(early)
    assert audit.verify(home, head=head).intact
    assert audit.verify(home, head=late).faults == (f"no row has the hash {late}: the trail was cut off or rewritten",)


def test_a_row_is_added_with_its_act_or_not_at_all(home: Home) -> None:
    journal = Journal(home.journal)
    with pytest.raises(RuntimeError), journal.store.write() as db:
        audit.append(db, "tester", "half done")
        raise RuntimeError
    journal.close()
    assert audit.verify(home).entries == 6
