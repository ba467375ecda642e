"""The texts of all documents learned, in SQL. The index is rebuilt from them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from executor.errors import UnavailableError
from executor.state.durable import create
from executor.state.transaction import transaction
from knowledge.documents.document import Document, Section

VERSION = 1
BUSY_S = 10.0
"""A second writer waits so long for the first."""
Change = Literal["new", "changed", "unchanged"]
_SCHEMA = """
CREATE TABLE schema_version (version INTEGER NOT NULL) STRICT;
CREATE TABLE documents (
  source TEXT PRIMARY KEY, digest TEXT NOT NULL, kind TEXT NOT NULL, title TEXT NOT NULL, learned TEXT NOT NULL,
  size INTEGER NOT NULL, sections TEXT NOT NULL
) STRICT;
"""
_COLUMNS = "source, digest, kind, title, learned, size, sections"


class DocumentStore:
    """An open store, a context manager; its file is made if it is not there, mode 0600. Writes are on disk on return.

    Raises ``UnavailableError`` where the file cannot be used, or was written by a newer Murphy; it is left as it is.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._explained():
            create(path)
            self._db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
            try:
                self._prepare()
                # what is forgotten is overwritten, not only unlinked
                for pragma in ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON"):
                    self._db.execute(f"PRAGMA {pragma}")
            except BaseException:
                self._db.close()
                raise

    def learn(self, document: Document) -> Change:
        """Keep a document, in the place of what was known of the same file; the same content changes nothing."""
        with self._writing() as db:
            row = db.execute("SELECT digest FROM documents WHERE source = ?", (document.source,)).fetchone()
            if row and row[0] == document.digest:
                return "unchanged"
            sections = json.dumps([asdict(section) for section in document.sections])
            told = (document.source, document.digest, document.kind, document.title, document.learned.isoformat())
            db.execute(
                f"INSERT OR REPLACE INTO documents ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 -- constant
                (*told, document.size, sections),
            )
        self._empty_log()
        return "changed" if row else "new"

    def forget(self, source: str) -> bool:
        """Forget a document, its text included; ``False`` if it is not known."""
        with self._writing() as db:
            gone = db.execute("DELETE FROM documents WHERE source = ?", (source,)).rowcount
        self._empty_log()
        return gone > 0

    def documents(self) -> tuple[Document, ...]:
        """Every document, by source."""
        with self._explained():
            rows = self._db.execute(f"SELECT {_COLUMNS} FROM documents ORDER BY source").fetchall()  # noqa: S608
            return tuple(_document(*row) for row in rows)

    def close(self) -> None:
        """Close the file. Idempotent."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _prepare(self) -> None:
        with self._writing() as db:
            tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if not tables:
                for statement in filter(str.strip, _SCHEMA.split(";")):
                    db.execute(statement)
                db.execute("INSERT INTO schema_version VALUES (?)", (VERSION,))
                return
            versions = db.execute("SELECT version FROM schema_version").fetchall() if "documents" in tables else []
        if versions != [(VERSION,)]:
            found = f"has schema version {versions[0][0]}" if versions else "is some other program's database"
            raise UnavailableError(
                f"the store of documents {found}, and this Murphy knows {VERSION}.",
                where=str(self.path),
                hint="Use the Murphy that wrote it, or another MURPHY_HOME.",
            )

    def _empty_log(self) -> None:
        """So that a text that is gone is gone from the write-ahead log, too, unless somebody reads just now."""
        with self._explained():
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._explained(), transaction(self._db) as db:
            yield db

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error, ValueError, KeyError, TypeError) as error:
            raise UnavailableError(
                f"the documents learned cannot be used: {error}.",
                where=str(self.path),
                hint="Is the disk full or read-only, or the file ours? Without it, murphy learn makes a new one.",
            ) from error


def _document(source: str, digest: str, kind: str, title: str, learned: str, size: int, sections: str) -> Document:
    return Document(
        source=source,
        digest=digest,
        kind=kind,  # type: ignore[arg-type]
        title=title,
        learned=datetime.fromisoformat(learned),
        size=size,
        sections=tuple(
            Section(tuple(each["heading"]), each["text"], each["line"], each["page"]) for each in json.loads(sections)
        ),
    )
