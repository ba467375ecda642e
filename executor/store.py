"""The journal's database: one durable SQLite file, many processes. Standard library only."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from executor.durable import create
from executor.errors import UnavailableError

VERSION = 1
APPLICATION_ID = 0x4D555246  # "MURF": a file that is some other program's database is not touched

_SCHEMA = """
CREATE TABLE runs (
  run TEXT PRIMARY KEY, plan_digest TEXT NOT NULL, environment TEXT NOT NULL, nonce TEXT NOT NULL,
  pid INTEGER NOT NULL, start_ticks INTEGER NOT NULL, boot_id TEXT NOT NULL,
  instances INTEGER NOT NULL, services INTEGER NOT NULL, faults INTEGER NOT NULL, targets TEXT NOT NULL,
  started TEXT NOT NULL, outcome TEXT, ended TEXT
) STRICT;
CREATE TABLE approvals (nonce TEXT PRIMARY KEY, run TEXT NOT NULL, consumed TEXT NOT NULL) STRICT;
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
CREATE TRIGGER audit_keeps BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit trail only grows'); END;
CREATE TRIGGER audit_stays BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit trail only grows'); END;
"""


class Store:
    """A connection to the database, shared by the threads of one process.

    Every commit is on disk before it returns (WAL, ``synchronous=FULL``). A second writer waits up to ``busy_s``.
    Raises ``UnavailableError`` where the file cannot be used or was written by a newer Murphy; it is left as it is.
    """

    def __init__(self, path: Path, *, busy_s: float = 5.0) -> None:
        self.path = path
        self._lock = threading.RLock()
        try:
            create(path)
            self._db = sqlite3.connect(path, timeout=busy_s, isolation_level=None, check_same_thread=False)
            self._db.row_factory = sqlite3.Row
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("PRAGMA foreign_keys = ON")
            self._migrate()
        except (OSError, sqlite3.Error) as error:
            raise _unusable(path, error) from error

    def _migrate(self) -> None:
        with self.write() as db:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            (application,) = db.execute("PRAGMA application_id").fetchone()
            (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if version == VERSION and application == APPLICATION_ID:
                return
            if version or tables:
                raise UnavailableError(
                    f"the journal has schema version {version}, and this Murphy knows {VERSION}.",
                    where=str(self.path),
                    hint="Use the Murphy that wrote it, or another MURPHY_HOME.",
                )
            for statement in _statements(_SCHEMA):
                db.execute(statement)
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {VERSION}")

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A transaction that no other writer overlaps; durable when the block ends, undone if it raises.

        Raises ``UnavailableError`` if it cannot be begun or made durable.
        """
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield self._db
                except BaseException:
                    self._db.rollback()
                    raise
                self._db.commit()
            except sqlite3.Error as error:
                if self._db.in_transaction:
                    self._db.rollback()
                raise _unusable(self.path, error) from error

    def read(self, query: str, parameters: tuple[object, ...] = ()) -> list[sqlite3.Row]:
        """The rows of a query. Raises ``UnavailableError`` if they cannot be read."""
        with self._lock:
            try:
                return self._db.execute(query, parameters).fetchall()
            except sqlite3.Error as error:
                raise _unusable(self.path, error) from error

    def close(self) -> None:
        """Close the connection. Idempotent."""
        with self._lock:
            self._db.close()


def _statements(script: str) -> Iterator[str]:
    # executescript() would commit the open transaction; so the script is cut where SQLite says a statement is whole.
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _unusable(path: Path, error: Exception) -> UnavailableError:
    return UnavailableError(
        f"the journal cannot be used: {error}.",
        where=str(path),
        hint="Is the disk full or read-only, or the file ours?",
    )
