"""The journal's database: one durable SQLite file, many processes. Standard library only."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from executor.errors import UnavailableError
from executor.state import anchor, reserve, schema
from executor.state.anchor import BEGINNING, Mark
from executor.state.durable import create

_AGAIN_S = 0.01
_LOG_PAGES = 128
"""Pages of 4 KiB to which the log grows before it is begun anew, so that the reserve has room for all of it."""


class Store:
    """A connection to the database, shared by the threads of one process.

    Every commit is on disk before it returns (WAL, ``synchronous=FULL``). A second writer waits up to ``busy_s``.
    Raises ``UnavailableError`` where the file cannot be used or was written by a newer Murphy; it is left as it is.
    """

    def __init__(self, path: Path, *, busy_s: float = 5.0, anchored: bool = True) -> None:
        """``anchored`` unless it is a copy that nobody adds to."""
        self.path = path
        self._lock = threading.RLock()
        self._anchor = anchor.place(path) if anchored else None
        reserve.give_up_if_full(path)
        try:
            create(path)
            self._db = self._opened(busy_s)
            self._inode = path.stat().st_ino
        except (OSError, sqlite3.Error) as error:
            raise _unusable(path, error) from error

    def _opened(self, busy_s: float) -> sqlite3.Connection:
        """A connection, tried for again while others make, recover or leave the database.

        SQLite does not wait then, whatever its timeout: a wait could be for a lock whose holder waits for one of ours.
        Source: https://www.sqlite.org/wal.html, "Sometimes Queries Return SQLITE_BUSY In WAL Mode".
        """
        deadline = time.monotonic() + busy_s
        while True:
            db = sqlite3.connect(self.path, timeout=busy_s, isolation_level=None, check_same_thread=False)
            try:
                self._prepare(db)
            except BaseException as error:
                db.close()
                if not _passes(error) or time.monotonic() >= deadline:
                    raise
                time.sleep(_AGAIN_S)
            else:
                return db

    def _prepare(self, db: sqlite3.Connection) -> None:
        db.row_factory = sqlite3.Row
        db.text_factory = _text
        standing = schema.standing(db)
        if standing == "foreign":
            raise UnavailableError(
                f"the journal has schema version {schema.version(db)}, and this Murphy knows {schema.VERSION}.",
                where=str(self.path),
                hint="Use the Murphy that wrote it, or another MURPHY_HOME.",
            )
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA foreign_keys = ON")
        db.execute(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES}")
        if standing == "current":  # a journal in use is opened without waiting for whoever writes to it
            return
        db.execute("BEGIN IMMEDIATE")
        if (version := schema.version(db)) != schema.VERSION:  # another process may have been quicker
            schema.migrate(db, version)
            if self._anchor:  # first, so that a crash leaves no journal without one
                anchor.make(self._anchor, head(db))
        db.commit()

    def wait(self, busy_s: float) -> None:
        """From now on another writer is waited for up to so many seconds."""
        with self._lock:
            self._db.execute(f"PRAGMA busy_timeout = {int(busy_s * 1000)}")

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A transaction that no other writer overlaps; durable when the block ends, undone if it raises.

        Raises ``UnavailableError`` if it cannot be begun or made durable.
        """
        with self._lock:
            self._refuse_replaced()
            reserve.give_up_if_full(self.path)
            try:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    before = head(self._db)
                    yield self._db
                    after = head(self._db)
                except BaseException:
                    self._db.rollback()
                    raise
                self._db.commit()
            except sqlite3.Error as error:
                with suppress(sqlite3.ProgrammingError):  # a thread that is late finds it closed
                    if self._db.in_transaction:
                        self._db.rollback()
                if _is_full(error):  # also where a quota says so; what is written next fits then
                    reserve.give_up(self.path)
                raise _unusable(self.path, error) from error
            if after != before:
                with suppress(UnavailableError):  # it may be behind; ``move_anchor`` says why, to those who must know
                    self.move_anchor()

    def move_anchor(self) -> None:
        """Move the anchor to the last row of the audit trail. Raises ``UnavailableError`` if that cannot be."""
        if self._anchor is None:
            return
        with self._lock:
            try:
                anchor.move(self._anchor, head(self._db), self.holds)
            except (OSError, ValueError, sqlite3.Error) as error:
                raise UnavailableError(
                    f"the audit trail's anchor cannot be moved: {error}.",
                    where=str(self._anchor),
                    hint="Is it ours, and whole?",
                ) from error

    def anchored_at(self) -> Mark | None:
        """The row that the anchor names, as ``anchor.read`` does: the trail has it, or has lost it."""
        return anchor.read(anchor.place(self.path))

    def holds(self, mark: Mark) -> bool:
        """Whether the audit trail has that row, as it was."""
        found = self.read("SELECT hash FROM audit WHERE seq = ?", (mark.seq,))
        return mark.seq == 0 or [row["hash"] for row in found] == [mark.hash]

    def _refuse_replaced(self) -> None:
        """What is written to a file that was removed is lost: nobody who comes later finds it."""
        try:
            same = self.path.stat().st_ino == self._inode
        except OSError as error:
            raise _unusable(self.path, error) from error
        if not same:
            raise UnavailableError(
                "the journal was replaced by another file while it was in use.",
                where=str(self.path),
                hint="murphy recover --sweep undoes what it does not know of.",
            )

    @contextmanager
    def still(self) -> Iterator[None]:
        """All that is read in this block is of one moment. Raises ``UnavailableError``."""
        with self._lock:
            self.read("BEGIN")
            try:
                yield
            finally:
                self._db.rollback()

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


def _text(value: bytes) -> str:
    """What is no text becomes some: one value that cannot be read hides no row."""
    return value.decode("utf-8", "backslashreplace")


def head(db: sqlite3.Connection) -> Mark:
    """The last row of the audit trail."""
    last = db.execute("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
    return Mark(last[0], last[1]) if last else BEGINNING


def _passes(error: BaseException) -> bool:
    """Whether it is only that another process is at the database."""
    return isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY


def _is_full(error: sqlite3.Error) -> bool:
    return error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)


def _unusable(path: Path, error: Exception) -> UnavailableError:
    return UnavailableError(
        f"the journal cannot be used: {error}.",
        where=str(path),
        hint="Is the disk full or read-only, or the file ours?",
    )
