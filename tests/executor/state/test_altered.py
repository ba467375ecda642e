"""Whoever can write the journal's file cannot change what was written without being found out."""

from __future__ import annotations

import gzip
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executor.errors import SafetyRefusalError, UnavailableError
from executor.safety.halt import halt, resume
from executor.state import anchor, audit
from executor.state.chain import FIELDS, hash_of
from executor.state.home import Home
from executor.state.journal import Journal
from executor.state.schema import TRIGGERS
from tests.executor.injections import admit, arm

TEXTS = FIELDS[1:]
COLUMNS = ", ".join(FIELDS)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home after a halt, a run that ended, and one whose revert is owed."""
    home = Home.open(tmp_path_factory.mktemp("original") / "home")
    halt(home, "ein Versuch → 试", by="alice")
    resume(home, by="bob")
    with closing(Journal(home.journal)) as journal:
        admit(journal, "run-1")
        first = arm(journal, "m1")
        journal.injected(first.id, {"pid": 1})
        journal.reverted(first.id, by="executor", verified=True)
        journal.finish("run-1", "completed")
        admit(journal, "run-2")
        journal.occupy("run-2", ("process 1/2",), lambda _rows: None)
        second = arm(journal, "m2", run="run-2")
        journal.owe(second.id, "no \udcff way, \ud83d\ude00", by="watchdog")
    assert audit.verify(home).intact
    return home.path


@contextmanager
def copy_of(original: Path) -> Iterator[tuple[Home, sqlite3.Connection]]:
    """A copy of the home, and its database."""
    with tempfile.TemporaryDirectory() as directory:
        home = Home(Path(shutil.copytree(original, Path(directory) / "home")))
        with closing(sqlite3.connect(home.journal, isolation_level=None)) as db:
            yield home, db


def rows_in(db: sqlite3.Connection) -> list[dict[str, Any]]:
    return [dict(zip(FIELDS, row, strict=True)) for row in db.execute(f"SELECT {COLUMNS} FROM audit ORDER BY seq")]


def put(db: sqlite3.Connection, rows: list[dict[str, Any]]) -> None:
    """These rows and no others, and the triggers that forbid it as they were."""
    for trigger in ("audit_keeps", "audit_stays"):
        db.execute(f"DROP TRIGGER {trigger}")
    db.execute("DELETE FROM audit")
    db.executemany(f"INSERT INTO audit ({COLUMNS}) VALUES (:{', :'.join(FIELDS)})", rows)
    for trigger in TRIGGERS:
        db.execute(trigger)


def chained(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As somebody would write them who knows how the hashes are made."""
    previous, made = anchor.BEGINNING.hash, []
    for number, row in enumerate(rows, start=1):
        row = {**row, "seq": number, "previous": previous}
        row["hash"] = previous = hash_of(row)
        made.append(row)
    return made


def numbered(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**row, "seq": number} for number, row in enumerate(rows, start=1)]


ROW = st.fixed_dictionaries({name: st.text(st.characters(exclude_categories=["Cs"]), max_size=20) for name in TEXTS})


@st.composite
def edited(draw: st.DrawFn, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One field of one row is another."""
    made = [dict(row) for row in rows]
    row = draw(st.sampled_from(made))
    name = draw(st.sampled_from(FIELDS))
    if name == "seq":
        row[name] = draw(st.integers(-(2**62), 2**62).filter(lambda seq: not 1 <= seq <= len(rows)))
    else:
        at = draw(st.integers(0, len(row[name])))
        new = draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=3))
        row[name] = row[name][:at] + new + row[name][at + draw(st.integers(0, 3)) :]
    return made


@st.composite
def removed(draw: st.DrawFn, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    at = draw(st.integers(0, len(rows) - 1))
    left = rows[:at] + rows[at + 1 :]
    return numbered(left) if draw(st.booleans()) else left


@st.composite
def inserted(draw: st.DrawFn, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row that is not the last: anybody who may write the file may add to its end, also another of the last."""
    at = draw(st.integers(0, len(rows) - 1))
    new = draw(ROW | st.sampled_from(rows[:-1]))
    return numbered([*rows[:at], {**new, "seq": 0}, *rows[at:]])


@st.composite
def reordered(draw: st.DrawFn, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return numbered(draw(st.permutations(rows).filter(lambda made: made != rows)))


@st.composite
def truncated(draw: st.DrawFn, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    left = rows[: draw(st.integers(0, len(rows) - 1))]
    return left + draw(st.lists(ROW, max_size=3).map(lambda more: [{**row, "seq": len(left) + 1} for row in more[:1]]))


WAYS: dict[str, Callable[[list[dict[str, Any]]], st.SearchStrategy[list[dict[str, Any]]]]] = {
    way.__name__: way for way in (edited, removed, inserted, reordered, truncated)
}


@pytest.mark.parametrize("way", WAYS)
@given(data=st.data(), rechain=st.booleans())
@settings(max_examples=100)
def test_every_change_of_the_trail_is_found(original: Path, way: str, data: st.DataObject, rechain: bool) -> None:
    with copy_of(original) as (home, db):
        rows = rows_in(db)
        changed = data.draw(WAYS[way](rows))
        made = chained(changed) if rechain else changed
        put(db, made)
        assert audit.verify(home).intact is (made == rows)  # a last row's hash that is put right again is no change
        if made != rows:
            refused(home)


def refused(home: Home, words: str | None = None) -> None:
    with closing(Journal(home.journal)) as journal, pytest.raises(SafetyRefusalError, match=words) as no:
        journal.refuse_altered()
    assert no.value.rule == "audit trail"


def test_an_untouched_copy_is_as_it_was(original: Path) -> None:
    with copy_of(original) as (home, _db):
        assert audit.verify(home).faults == ()


FORGOTTEN = {
    "a use": ("DELETE FROM approvals WHERE run = 'run-1'", "forgotten that run-1 used its approval"),
    "whose use it was": ("UPDATE approvals SET run = 'run-9' WHERE run = 'run-1'", "forgotten that run-1 used"),
    "a fault": ("DELETE FROM injections WHERE mark = 'm2'", "forgotten the fault m2"),
    "what is owed": ("UPDATE injections SET state = 'reverted' WHERE mark = 'm2'", "m2 as reverted, and nobody"),
    "a run": ("DELETE FROM runs WHERE run = 'run-2'", "forgotten the run run-2"),
    "a run under way": (
        "UPDATE runs SET outcome = 'completed' WHERE run = 'run-2'",
        "run-2 as completed, and it was never",
    ),
    "the end of a run": (
        "UPDATE runs SET outcome = NULL WHERE run = 'run-1'",
        "run-1 as under way, and it was ended as",
    ),
    "how it ended": (
        "UPDATE runs SET outcome = 'halted' WHERE run = 'run-1'",
        "as halted, and it was ended as completed",
    ),
    "how to undo it": (
        """UPDATE injections SET record = '{"pid": 2}' WHERE mark = 'm2'""",
        "another record of the fault m2",
    ),
    "what was learned": ("""UPDATE injections SET record = '{}' WHERE mark = 'm1'""", "another record of the fault m1"),
    "what it was": ("UPDATE injections SET kind = 'service.stop' WHERE mark = 'm2'", "another kind of the fault m2"),
    "whom it struck": ("UPDATE injections SET subject = 'base-2' WHERE mark = 'm2'", "another subject of the fault m2"),
    "whose it was": ("UPDATE injections SET run = 'run-1' WHERE mark = 'm2'", "another run of the fault m2"),
    "that it is undone": (
        "UPDATE injections SET state = 'injected', boot_id = 'zz' WHERE mark = 'm1'",
        "another boot_id of the fault m1 than was armed",
    ),
    "that it was undone": (
        "UPDATE injections SET state = 'injected' WHERE mark = 'm1'",
        "the fault m1 as injected, and it was reverted",
    ),
    "when it was made": ("UPDATE injections SET boot_id = 'zz' WHERE mark = 'm2'", "another boot_id of the fault m2"),
    "why it is owed": ("UPDATE injections SET error = '' WHERE mark = 'm2'", "another error of the fault m2"),
    "who undid it": ("UPDATE injections SET by = 'nobody' WHERE mark = 'm1'", "m1 as reverted by 'nobody'"),
    "its number": ("UPDATE injections SET id = 7 WHERE mark = 'm2'", "another id of the fault m2"),
    "how far a run reaches": (
        "UPDATE runs SET instances = 0 WHERE run = 'run-2'",
        "another instances of the run run-2",
    ),
    "what a run reaches": (
        """UPDATE runs SET targets = '{"targets": []}' WHERE run = 'run-2'""",
        "another reach of the run run-2",
    ),
    "whose process it is": ("UPDATE runs SET pid = 1 WHERE run = 'run-2'", "another pid of the run run-2"),
    "which plan it was": ("UPDATE runs SET plan_digest = 'x' WHERE run = 'run-1'", "another plan_digest of the run"),
    "a run that never was": (
        "INSERT INTO runs SELECT 'run-9', plan_digest, environment, nonce, pid, start_ticks, boot_id, instances,"
        " services, faults, targets, started, outcome, ended FROM runs WHERE run = 'run-2'",
        "the run run-9, and nobody began it",
    ),
    "a use that never was": (
        "INSERT INTO approvals VALUES ('other', 1, 'run-9', '')",
        "use 1 of the approval other by run-9, and nobody used it",
    ),
    "who armed it": (
        "INSERT INTO injections SELECT 9, run, experiment, trial, action, kind, subject, 'm9', record, state, expires,"
        " boot_id, error, by, armed, reverted FROM injections WHERE mark = 'm2'",
        "the fault m9, and nobody armed it",
    ),
}


@pytest.mark.parametrize("what", FORGOTTEN)
def test_a_journal_made_to_forget_is_found(original: Path, what: str) -> None:
    sql, words = FORGOTTEN[what]
    with copy_of(original) as (home, db):
        db.execute(sql)
        assert words in audit.verify(home).faults[0]
        refused(home, words)


def test_what_an_earlier_murphy_wrote_is_as_it_was(home: Home) -> None:
    """It put no digest of a record into the trail."""
    home.journal.write_bytes(gzip.decompress(Path(__file__).with_name("journal-1.db.gz").read_bytes()))
    with closing(Journal(home.journal)) as journal:
        assert journal.altered() == ""
        journal.injected(2, {"pid": 3})
        assert journal.altered() == ""
        with closing(sqlite3.connect(home.journal, isolation_level=None)) as db:
            db.execute("UPDATE injections SET record = '{}' WHERE id = 2")
        assert "another record of the fault m2" in journal.altered()


def replace(home: Home) -> None:
    """By the journal of a life that never was, longer than the true one."""
    false = Home.open(home.path.with_name("false"))
    with closing(Journal(false.journal)) as journal:
        for number in range(40):
            journal.note("tester", "noted", number=number)
    shutil.copyfile(false.journal, home.journal)


AWAY: dict[str, tuple[Callable[[Home], object], str]] = {
    "emptied": (lambda home: home.journal.write_bytes(b""), "has 0 rows, and 11 were written"),
    "removed": (lambda home: home.journal.unlink(), "has 0 rows, and 11 were written"),
    "replaced": (replace, "row 11 of the audit trail is not the one that was written"),
    "without its anchor": (lambda home: anchor.place(home.journal).unlink(), "anchor is gone"),
    "with an anchor that is none": (lambda home: anchor.place(home.journal).write_bytes(b"-"), "names no row"),
}


@pytest.mark.parametrize("how", AWAY)
def test_another_journal_in_its_place_is_found_and_stays_found(original: Path, how: str) -> None:
    change, words = AWAY[how]
    with copy_of(original) as (home, db):
        db.close()
        change(home)
        refused(home, words)
        with closing(Journal(home.journal)) as journal:  # whoever goes on with it does not make it right
            for _ in range(20):
                journal.note("tester", "went on")
        refused(home, "audit trail")
        assert not audit.verify(home).intact


def test_a_journal_made_anew_after_both_are_gone_is_another_installation(original: Path) -> None:
    with copy_of(original) as (home, db):
        with closing(Journal(home.journal)) as journal:
            before = journal.installation
        db.close()
        for path in home.path.glob("journal.db*"):
            path.unlink()
        with closing(Journal(home.journal)) as journal:
            journal.refuse_altered()
            assert journal.installation != before
        assert audit.verify(home).intact


def test_an_anchor_that_cannot_move_is_said_to_those_who_must_know(original: Path) -> None:
    with copy_of(original) as (home, _db), closing(Journal(home.journal)) as journal:
        journal.refuse_altered()
        handle = anchor.place(home.journal)
        handle.rename(handle.with_name("elsewhere"))
        handle.mkdir()
        journal.note("tester", "noted all the same")
        refused(home, "anchor cannot be read")


def test_a_journal_replaced_while_it_is_in_use_takes_no_more(original: Path) -> None:
    with copy_of(original) as (home, db):
        with closing(Journal(home.journal)) as journal:
            home.journal.rename(home.journal.with_name("aside"))
            shutil.copyfile(home.journal.with_name("aside"), home.journal)
            with pytest.raises(Exception, match="replaced by another file") as error:
                journal.note("tester", "into the void")
            assert "recover --sweep" in str(error.value)
        db.close()


@pytest.mark.parametrize(
    "what",
    [
        "TRIGGER quiet BEFORE INSERT ON audit BEGIN SELECT RAISE(IGNORE); END",
        "TRIGGER audit_keeps AFTER INSERT ON audit BEGIN DELETE FROM audit WHERE seq = NEW.seq; END",
    ],
)
def test_a_trigger_that_keeps_the_trail_from_growing(original: Path, what: str) -> None:
    with copy_of(original) as (home, db):
        db.executescript(f"DROP TRIGGER audit_keeps; CREATE {what}")
        assert "that Murphy did not make" in audit.verify(home).faults[0]


def freeze(db: sqlite3.Connection) -> None:
    """Make the trail anew, as a table that ignores what comes later."""
    (last,) = db.execute("SELECT max(seq) FROM audit").fetchone()
    (sql,) = db.execute("SELECT sql FROM sqlite_master WHERE name = 'audit'").fetchone()
    db.execute("ALTER TABLE audit RENAME TO audit_old")
    ignores = f"g INTEGER AS (CASE WHEN seq > {last} THEN NULL ELSE 1 END) NOT NULL ON CONFLICT IGNORE"
    db.execute(sql.replace("hash TEXT NOT NULL", f"hash TEXT NOT NULL, {ignores}"))
    db.execute("INSERT INTO audit SELECT * FROM audit_old")
    db.execute("DROP TABLE audit_old")


def leave_out(db: sqlite3.Connection) -> None:
    """Take what is owed out of the index of what is open, by which it is found."""
    rule = " WHERE state <> 'reverted'"
    for now, then in ((rule, " WHERE state = 'armed'"), (" WHERE state = 'armed'", rule)):
        db.execute("PRAGMA writable_schema = ON")
        db.execute("UPDATE sqlite_master SET sql = replace(sql, ?, ?) WHERE name = 'injections_open'", (now, then))
        db.execute("PRAGMA writable_schema = RESET")
        if now == rule:
            db.execute("REINDEX injections_open")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (freeze, "a table, audit, that Murphy did not make"),
        (lambda db: db.execute("CREATE TABLE theirs (x)"), "a table, theirs, that Murphy did not make"),
        (lambda db: db.execute("CREATE INDEX more ON audit (who)"), "an index, more, that Murphy did not make"),
        (lambda db: db.execute("DROP INDEX injections_open"), "lacks a table, an index or a trigger"),
        (lambda db: db.execute("DROP TRIGGER audit_stays"), "lacks a table, an index or a trigger"),
        (leave_out, "row 2 missing from index injections_open"),
        (lambda db: db.execute("UPDATE meta SET value = 'x'"), "lost what tells it from others"),
        (lambda db: db.execute("DELETE FROM meta"), "lost what tells it from others"),
    ],
)
def test_a_journal_with_other_tables_is_found(
    original: Path, change: Callable[[sqlite3.Connection], object], words: str
) -> None:
    with copy_of(original) as (home, db):
        change(db)
        assert words in audit.verify(home).faults[0]
        refused(home, words)


@pytest.mark.parametrize(
    "change",
    [
        freeze,
        lambda db: db.execute("CREATE TRIGGER quiet BEFORE INSERT ON audit BEGIN SELECT RAISE(IGNORE); END"),
        lambda db: db.executescript(
            "DROP TRIGGER audit_keeps;"
            "CREATE TRIGGER gone AFTER INSERT ON audit BEGIN DELETE FROM audit WHERE seq > 9; END"
        ),
    ],
)
def test_nothing_is_done_that_the_trail_does_not_take(
    original: Path, change: Callable[[sqlite3.Connection], object]
) -> None:
    with copy_of(original) as (home, db):
        change(db)
        before = rows_in(db)
        with closing(Journal(home.journal)) as journal:
            with pytest.raises(UnavailableError, match="does not take what is written"):
                journal.finish("run-2", "completed")
            assert [row.run for row in journal.running()] == ["run-2"]
        halt(home, "even so", by="alice")
        assert home.halt_file.exists()
        assert rows_in(db) == before
