from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from executor.errors import InputError, UnavailableError
from executor.state import anchor, audit
from executor.state.home import Home
from executor.state.journal import Journal
from executor.state.schema import TRIGGERS


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
        for statement in (*statements, *TRIGGERS):
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
    "identity lost": (lambda home: tamper(home, "DELETE FROM meta"), "has lost what tells it from others"),
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


def test_an_exported_trail_is_checked_by_itself(home: Home, tmp_path: Path) -> None:
    journal = Journal(home.journal)
    journal.note("tester", "noted", words="a line\u2028that another program ends here\n", name="\udcff")
    journal.close()
    file = tmp_path / "trail.jsonl"
    file.write_text("".join(f"{line}\n" for line in audit.export(home)), encoding="utf-8")
    seen = audit.verify_file(file)
    assert seen == audit.verify(home)
    assert (seen.intact, seen.entries) == (True, 7)
    assert audit.verify_file(file, head=seen.head).intact


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_is_changed_in_an_export_but_for_its_end_is_found(home: Home, data: st.DataObject) -> None:
    file = home.path / "trail.jsonl"
    lines = [line.encode() for line in audit.export(home)]
    head = audit.verify(home).head
    at = data.draw(st.integers(0, len(lines) - 1))
    where = data.draw(st.integers(0, len(lines[at])))
    new = data.draw(st.binary(max_size=3))
    changed = lines[at][:where] + new + lines[at][where + data.draw(st.integers(0, 3)) :]
    file.write_bytes(b"\n".join([*lines[:at], changed, *lines[at + 1 :]]))
    said = audit.verify_file(file)
    assert not said.intact or [json.loads(line) for line in file.read_bytes().splitlines()] == list(
        map(json.loads, lines)
    )
    file.write_bytes(b"\n".join(lines[:at]))  # cut off at its end: only a head that was kept shows that
    assert audit.verify_file(file).intact
    assert not audit.verify_file(file, head=head).intact


@pytest.mark.parametrize("content", [b"[]\n", b"\xff\n", b"{}\n", b'{"seq": 1}\n', b"[" * 100_000])
def test_what_is_no_trail_is_said(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "trail.jsonl"
    file.write_bytes(content)
    assert audit.verify_file(file).faults == ("line 1 is no row",)
    with pytest.raises(InputError, match="cannot be read"):
        audit.verify_file(tmp_path)


def test_looking_at_a_journal_that_was_emptied_or_removed_changes_nothing(home: Home) -> None:
    home.journal.write_bytes(b"")
    found = audit.verify(home)
    assert (found.entries, found.faults) == (0, ("the audit trail has 0 rows, and 6 were written",))
    assert home.journal.stat().st_size == 0
    home.journal.unlink()
    assert audit.verify(home) == found
    with pytest.raises(UnavailableError, match="there is no journal"):
        audit.entries(home)
    assert not home.journal.exists()
    assert audit.verify(Home(home.path / "none")).intact
    home.journal.symlink_to(home.journal)
    with pytest.raises(UnavailableError, match="the journal cannot be read: Too many levels"):
        audit.entries(home)


def test_words_that_are_no_text_are_kept_as_escapes(tmp_path: Path) -> None:
    made = Home.open(tmp_path / "home")
    journal = Journal(made.journal)
    journal.note("who\udcff", "what\x00", reason="half a character: \ud83d")
    journal.close()
    (entry,) = audit.entries(made)
    assert (entry.who, entry.what) == ("who\\udcff", "what\x00")
    assert entry.detail == {"reason": "half a character: \ud83d"}
    assert audit.verify(made).intact
