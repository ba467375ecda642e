"""What sessions keep beside the graph's checkpoints, in the same file (mode 0600): whose they are, and models' answers.

Answers are kept as finished (``answers``) and as they came (``asked``).
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from executor.clock import here, own_ticks, start_ticks, whereabouts
from executor.errors import SafetyRefusalError, UnavailableError
from executor.model.digest import digest
from executor.state.durable import create
from executor.state.transaction import transaction

BUSY_S = 30.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS sessions (
  id TEXT PRIMARY KEY, base TEXT NOT NULL, number INTEGER NOT NULL, pid INTEGER, start_ticks INTEGER, boot_id TEXT,
  UNIQUE (base, number)
) STRICT;
CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, answer TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS asked (
  number INTEGER PRIMARY KEY, session TEXT NOT NULL, key TEXT NOT NULL, outcome TEXT NOT NULL, record TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS asked_key ON asked (key);
CREATE INDEX IF NOT EXISTS asked_session ON asked (session);
"""


class Shelf:
    """The table of sessions and the table of answers, for any number of threads and processes.

    Every write is on disk before it returns. Raises ``UnavailableError`` if the file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        with self._explained():
            create(path)
            self._db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file. Idempotent."""
        self._db.close()

    def newest(self, base: str) -> str | None:
        """The latest session begun from the same input, if there is one."""
        found = self._one("SELECT id FROM sessions WHERE base = ? ORDER BY number DESC LIMIT 1", base)
        return None if found is None else str(found)

    def new(self, base: str) -> str:
        """Enter a new session and return its id: ``base`` and the next number."""
        with self._writing() as db:
            return _enter(db, base)

    @contextmanager
    def entered(self, base: str, after: str | None) -> Iterator[str]:
        """A new session, claimed from its first moment, so that of several at one instant only one enters it.

        Raises ``SafetyRefusalError`` as ``claimed`` does while another is at the newest of ``base``, and where that is
        no longer the session ``after`` (``None``: there was none).
        """
        with self._writing() as db:
            row = db.execute(
                "SELECT id, pid, start_ticks, boot_id FROM sessions WHERE base = ? ORDER BY number DESC LIMIT 1",
                (base,),
            ).fetchone()
            newest, *claim = row or (None, None, None, None)
            if newest != after or (claim[0] is not None and _may_live(*claim)):
                raise _busy(newest or base, claim[0])
            name = _enter(db, base)
            _claim(db, name)
        try:
            yield name
        finally:
            self._release(name)

    def sessions(self) -> dict[str, int | None]:
        """Every session ever entered, with the process that is at it, if one is."""
        query = "SELECT id, pid, start_ticks, boot_id FROM sessions ORDER BY rowid"
        with self._explained(), self._lock:
            rows = self._db.execute(query).fetchall()
        return {
            str(name): pid if pid is not None and _may_live(pid, ticks, boot) else None
            for name, pid, ticks, boot in rows
        }

    def forget(self, session: str, keys: Iterable[str]) -> None:
        """Drop what models were asked in a session, and the answers under ``keys``. Its name is never given again."""
        with self._writing() as db:
            db.execute("DELETE FROM asked WHERE session = ?", (session,))
            db.executemany("DELETE FROM answers WHERE key = ?", [(key,) for key in keys])

    @contextmanager
    def claimed(self, session: str) -> Iterator[None]:
        """Only one thread of one process works on a session at a time; a dead one's claim does not count.

        One of another pid namespace, as of another container, counts until the next boot: we cannot see it.

        Raises ``SafetyRefusalError`` if another is at it.
        """
        with self._writing() as db:
            row = db.execute("SELECT pid, start_ticks, boot_id FROM sessions WHERE id = ?", (session,)).fetchone()
            if row and row[0] is not None and _may_live(*row):
                raise _busy(session, row[0])
            _claim(db, session)
        try:
            yield
        finally:
            self._release(session)

    def answer(self, key: str, ask: Callable[[], str]) -> str:
        """The answer kept under ``key``; else ask, and keep it before anything else happens.

        A crash at any moment repeats no call whose answer had arrived.
        """
        kept = self._one("SELECT answer FROM answers WHERE key = ?", key)
        if kept is not None:
            return str(kept)
        given = ask()
        with self._writing() as db:
            db.execute("INSERT INTO answers VALUES (?, ?) ON CONFLICT DO NOTHING", (key, given))
        return given

    def keep(self, session: str, key: str, outcome: str, record: str) -> None:
        """Keep a question to a model with its raw answer, as JSON, before anything else happens."""
        with self._writing() as db:
            given = (session, key, outcome, record)
            db.execute("INSERT INTO asked (session, key, outcome, record) VALUES (?, ?, ?, ?)", given)

    def asked(self, session: str) -> list[str]:
        """All that are kept of a session, oldest first."""
        query = "SELECT record FROM asked WHERE session = ? ORDER BY number"
        with self._explained(), self._lock:
            return [str(record) for (record,) in self._db.execute(query, (session,))]

    def latest(self, key: str, outcome: str) -> str | None:
        """The last kept under a key, in any session, that came to this outcome."""
        query = "SELECT record FROM asked WHERE key = ? AND outcome = ? ORDER BY number DESC LIMIT 1"
        found = self._one(query, key, outcome)
        return None if found is None else str(found)

    def _release(self, session: str) -> None:
        with self._writing() as db:
            db.execute("UPDATE sessions SET pid = NULL WHERE id = ?", (session,))

    def _one(self, query: str, *parameters: str) -> object | None:
        with self._explained(), self._lock:
            row = self._db.execute(query, parameters).fetchone()
        return None if row is None else row[0]

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._explained(), transaction(self._db) as db:
            yield db

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            raise unkept(self.path, error) from error


def unkept(path: Path, error: Exception) -> UnavailableError:
    """What to say where the file of the sessions cannot be used."""
    return UnavailableError(
        f"planning sessions cannot be kept: {error}.", where=str(path), hint="Is the disk full or read-only?"
    )


def answer_key(question: str, session: str, expert: str, model: str) -> str:
    """Under which the answer of an expert, ``model`` speaking for it, to ``propose`` or ``critique`` is kept."""
    return digest({"asked": question, "session": session, "expert": expert, "model": model})


def _enter(db: sqlite3.Connection, base: str) -> str:
    (number,) = db.execute("SELECT coalesce(max(number), 0) + 1 FROM sessions WHERE base = ?", (base,)).fetchone()
    name = f"{base}-{number}"
    db.execute("INSERT INTO sessions (id, base, number) VALUES (?, ?, ?)", (name, base, number))
    return name


def _claim(db: sqlite3.Connection, session: str) -> None:
    mine = (os.getpid(), own_ticks(), here(), session)
    db.execute("UPDATE sessions SET pid = ?, start_ticks = ?, boot_id = ? WHERE id = ?", mine)


def _busy(session: str, pid: int | None) -> SafetyRefusalError:
    who = "another process" if pid is None else f"process {pid}"
    return SafetyRefusalError(
        "one at a time",
        measured=f"{who} is working on session {session}",
        limit="one process a session",
        hint="Wait for its end.",
    )


def _may_live(pid: int, ticks: int, place: str) -> bool:
    """Whether the process that claimed a session may still be at it."""
    where = whereabouts(place)
    return where == "elsewhere" or (where == "here" and start_ticks(pid) == ticks)
