"""The tables of the journal, and how a file that an earlier Murphy wrote gets them. Standard library only."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterator
from typing import Final, Literal

VERSION: Final = 2
_NUMBERS = "CREATE TABLE sqlite_sequence(name,seq)"
"""What SQLite makes by itself for ids that never come again."""
IDENTITY_DIGITS: Final = 32
"""Of what tells a journal from any other; it is in ``meta``."""
APPLICATION_ID = 0x4D555246  # "MURF": a file that is some other program's database is not touched

_STANDINGS: dict[int, Literal["current", "old"]] = {VERSION: "current", 1: "old"}

TRIGGERS: Final = (
    "CREATE TRIGGER audit_keeps BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit trail only grows'); END",
    "CREATE TRIGGER audit_stays BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit trail only grows'); END",
)
"""All that there are."""

_APPROVALS = """
CREATE TABLE approvals (
  nonce TEXT NOT NULL, use INTEGER NOT NULL, run TEXT NOT NULL, consumed TEXT NOT NULL, PRIMARY KEY (nonce, use)
) STRICT, WITHOUT ROWID;
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
"""

_NEW = f"""
CREATE TABLE runs (
  run TEXT PRIMARY KEY, plan_digest TEXT NOT NULL, environment TEXT NOT NULL, nonce TEXT NOT NULL,
  pid INTEGER NOT NULL, start_ticks INTEGER NOT NULL, boot_id TEXT NOT NULL,
  instances INTEGER NOT NULL, services INTEGER NOT NULL, faults INTEGER NOT NULL, targets TEXT NOT NULL,
  started TEXT NOT NULL, outcome TEXT, ended TEXT
) STRICT;
{_APPROVALS}
CREATE TABLE injections (
  id INTEGER PRIMARY KEY AUTOINCREMENT, run TEXT NOT NULL REFERENCES runs, experiment TEXT NOT NULL,
  trial INTEGER NOT NULL, action TEXT NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL, mark TEXT NOT NULL UNIQUE,
  record TEXT NOT NULL, state TEXT NOT NULL CHECK (state IN ('armed', 'injected', 'reverted', 'owed')),
  expires REAL NOT NULL, boot_id TEXT NOT NULL, error TEXT NOT NULL DEFAULT '', by TEXT NOT NULL DEFAULT '',
  armed TEXT NOT NULL, reverted TEXT
) STRICT;
CREATE INDEX injections_open ON injections (run) WHERE state <> 'reverted';
CREATE TABLE audit (
  seq INTEGER PRIMARY KEY, at TEXT NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL, detail TEXT NOT NULL,
  previous TEXT NOT NULL, hash TEXT NOT NULL
) STRICT;
{"".join(f"{trigger};" + chr(10) for trigger in TRIGGERS)}"""

_FROM_1 = f"""
ALTER TABLE approvals RENAME TO approvals_1;
{_APPROVALS}
INSERT INTO approvals SELECT nonce, 1, run, consumed FROM approvals_1;
DROP TABLE approvals_1;
"""  # noqa: S608 - constant text


def standing(db: sqlite3.Connection) -> Literal["current", "old", "foreign"]:
    """How a database stands: with these tables, empty or an earlier Murphy's, or none that is known here.

    Waits for no writer, and looks at one moment: others may be making the tables.
    """
    db.execute("BEGIN")
    try:
        (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        (application,) = db.execute("PRAGMA application_id").fetchone()
        if application == APPLICATION_ID:
            return _STANDINGS.get(version(db), "foreign")
        return "foreign" if tables or version(db) else "old"
    finally:
        db.rollback()


def version(db: sqlite3.Connection) -> int:
    """The number of the tables' version; 0 for a database that is not a journal."""
    (number,) = db.execute("PRAGMA user_version").fetchone()
    return int(number)


def migrate(db: sqlite3.Connection, old: int) -> None:
    """Give a database of that version these tables, within the caller's transaction; what is recorded stays."""
    for statement in _statements(_FROM_1 if old else _NEW):
        db.execute(statement)
    db.execute("INSERT INTO meta VALUES ('identity', ?)", (secrets.token_hex(IDENTITY_DIGITS // 2),))
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute(f"PRAGMA user_version = {VERSION}")


def _statements(script: str) -> Iterator[str]:
    # executescript() would commit the open transaction; so the script is cut where SQLite says a statement is whole.
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


TABLES: Final = (
    *(each for part in _statements(_NEW) if (each := part.strip().removesuffix(";")) not in TRIGGERS),
    _NUMBERS,
)
"""All tables and indexes, in SQLite's own words; those that an earlier Murphy made have the same."""
