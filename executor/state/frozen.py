"""The journal where it cannot be written: a copy elsewhere, to read what is to be undone. Standard library only."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from executor.errors import UnavailableError
from executor.state import anchor
from executor.state.anchor import Mark
from executor.state.reading import opened, regular
from executor.state.store import Store

_TRIES, _AGAIN_S = 20, 0.05
_MOST_BYTES = 2**30
"""More than a journal grows to. What is larger, or without an end, would fill the memory that it is copied to."""
_PREFIX = "murphy-journal-"
_DEAD_S = 600.0
"""A copy is there for as long as it takes to make it; one so old is of somebody who was killed meanwhile."""
_kept: dict[tuple[int, int], int] = {}
"""Databases that were read, by device and inode: closing one would drop all locks that this process holds on it."""


class Frozen(Store):
    """What the journal held when this was made. Every write raises ``UnavailableError``.

    SQLite cannot open a database with a log on a full or read-only disk: it has to make an index of the log there.
    """

    def __init__(self, path: Path, *, why: str) -> None:
        """Copy database and log to where there is room, memory first. Raises ``UnavailableError`` if that cannot be."""
        self.why = why
        self._mark: Mark | OSError | ValueError | None
        try:
            self._mark = anchor.read(anchor.place(path))  # before the copy is made: others may write meanwhile
        except (OSError, ValueError) as error:
            self._mark = error
        directory = _copied(path)
        try:
            super().__init__(directory / path.name, anchored=False)
            self._refuse_torn(path)
        finally:
            shutil.rmtree(directory, ignore_errors=True)  # its files are open by now, and go with us however we end
        self.path = path

    def _refuse_torn(self, path: Path) -> None:
        if [tuple(row) for row in self.read("PRAGMA quick_check(1)")] != [("ok",)]:
            raise UnavailableError("the journal cannot be read: it is damaged.", where=str(path))

    def anchored_at(self) -> Mark | None:
        """As it was when this was made."""
        if isinstance(self._mark, Exception):
            raise self._mark
        return self._mark

    def write(self) -> NoReturn:
        """Nothing is written here. Raises ``UnavailableError`` with what the journal itself said."""
        raise UnavailableError(
            f"the journal cannot be written: {self.why}.", where=str(self.path), hint="Make room, or make it writable."
        )


def _copied(path: Path) -> Path:
    reason = "there is no directory to copy it to"
    for place in ("/dev/shm", f"/run/user/{os.getuid()}", None):  # noqa: S108 - mkdtemp makes a directory of our own
        try:
            directory = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
            _clear_dead(directory)
        except OSError as error:
            reason = str(error)
            continue
        try:
            _copy(path, directory / path.name)
        except OSError as error:
            reason = str(error)
            shutil.rmtree(directory, ignore_errors=True)
        else:
            return directory
    raise UnavailableError(f"the journal can be neither used nor copied: {reason}.", where=str(path))


def _clear_dead(fresh: Path) -> None:
    """Remove what is of ours beside a copy's directory, and much older than that."""
    now = fresh.stat().st_mtime
    for left in fresh.parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            about = left.lstat()
            ours = stat.S_ISDIR(about.st_mode) and about.st_uid == os.geteuid()
            if ours and now - about.st_mtime > _DEAD_S:
                shutil.rmtree(left)


def _copy(path: Path, to: Path) -> None:
    """Copy database and log as they were at one moment; another process may still be writing."""
    logs = path.with_name(f"{path.name}-wal"), to.with_name(f"{to.name}-wal")
    for _ in range(_TRIES):
        before = _traces(path), _traces(logs[0])
        to.write_bytes(_read(path))
        if before[1]:
            with regular(logs[0]) as log, logs[1].open("wb") as copy:
                _refuse_huge(log.fileno(), logs[0])
                shutil.copyfileobj(log, copy)
        if before == (_traces(path), _traces(logs[0])):
            return
        logs[1].unlink(missing_ok=True)
        time.sleep(_AGAIN_S)
    raise OSError("it is being written to all the time")


def _traces(path: Path) -> tuple[int, ...]:
    """What changes when a file is written; empty if it is not there."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return ()
    return found.st_ino, found.st_size, found.st_mtime_ns


def _read(path: Path) -> bytes:
    found = path.stat()
    handle = _kept.get((found.st_dev, found.st_ino))
    if handle is None:
        handle = opened(path)
        found = os.fstat(handle)
        _kept[found.st_dev, found.st_ino] = handle
    _refuse_huge(handle, path)
    return os.pread(handle, found.st_size, 0)


def _refuse_huge(handle: int, path: Path) -> None:
    if os.fstat(handle).st_size > _MOST_BYTES:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
