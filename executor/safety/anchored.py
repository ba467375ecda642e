"""Files that the audit trail vouches for: each change of one is a row with its digest, and the newest row counts.

An edit by hand, or an older file put back in its place, no longer matches. Nothing here can sign.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from executor.errors import UnavailableError
from executor.person import whoami
from executor.state import audit
from executor.state.durable import write
from executor.state.home import Home
from executor.state.journal import Journal
from executor.state.reading import read
from executor.state.store import Store

ABSENT = "none"
"""Stands for the digest of a file that is not there."""


def digest_of(content: bytes | None) -> str:
    """``sha256:<64 hex>`` over a file's very bytes; ``none`` if there is no file."""
    return ABSENT if content is None else "sha256:" + hashlib.sha256(content).hexdigest()


def content_of(path: Path) -> bytes | None:
    """What is in the file; ``None`` if it is not there. Raises ``OSError`` where that cannot be told."""
    try:
        return read(path)
    except FileNotFoundError:
        return None


def latest(home: Home, acts: tuple[str, ...], **detail: str) -> audit.Entry | None:
    """The newest row of the trail about one of these acts, with that detail. Raises ``UnavailableError``."""
    if not home.journal.exists():
        return None
    marks = ", ".join("?" * len(acts))
    query = f"SELECT * FROM audit WHERE what IN ({marks}) ORDER BY seq DESC"  # noqa: S608 - question marks only
    with closing(Store(home.journal)) as store:
        for row in store.read(query, acts):
            entry = audit.Entry(**{**dict(row), "detail": audit.parsed(row["detail"])})
            if detail.items() <= entry.detail.items():
                return entry
    return None


def keep(home: Home, path: Path, content: bytes, act: str, detail: Mapping[str, object]) -> None:
    """Put a file in its place, mode 0600, and write the row about it: both, or after an error neither.

    After a crash between the two the new file is there without its row, and counts for nothing. Raises
    ``UnavailableError``.
    """
    with _replacing(path, content), closing(Journal(home.journal)) as journal, journal.store.write() as db:
        audit.append(db, whoami(), act, digest=digest_of(content), **detail)
        write_private(path, content)


@contextmanager
def _replacing(path: Path, content: bytes) -> Iterator[None]:
    """Put the old file back if the block raises after the new one came into its place."""
    before = content_of(path)
    try:
        yield
    except BaseException:
        with suppress(OSError, UnavailableError):
            if content_of(path) == content != before:
                path.unlink() if before is None else write_private(path, before)
        raise


def write_private(path: Path, content: bytes) -> None:
    """Put a file in its place, whole and durable, mode 0600. Raises ``UnavailableError``, with the old one left."""
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        write(path, content)
    except OSError as error:
        raise UnavailableError(f"cannot be written: {error.strerror}.", where=str(path)) from error
