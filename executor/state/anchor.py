"""How far the audit trail had come, kept outside its database: rows cut off, or another file in its place, are seen.

One small file beside the journal, with the number and hash of a row that is durable in the trail. It moves forward
after each commit and never back: after a crash it is behind the trail by some rows, but never ahead of it. Standard
library only.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from executor.state import reading
from executor.state.durable import sync_directory

_SLOT = 512
"""Bytes of a slot, a disk's smallest sector: a power cut tears one slot at most, and there are two."""
_MOST = 1 << 16
_WAIT_S, _AGAIN_S = 0.25, 0.002
"""How long to wait for a process that moves it. One that stands still is not waited for: the next commit moves it."""


@dataclass(frozen=True)
class Mark:
    """A row of the trail."""

    seq: int
    """Its number; 0 stands for the beginning, before any row."""
    hash: str


BEGINNING = Mark(0, "0" * 64)


def place(journal: Path) -> Path:
    """Where a journal's anchor is."""
    return journal.with_name(f"{journal.name}-anchor")


def read(path: Path) -> Mark | None:
    """The newest row that it names; ``None`` if no file is there.

    Raises ``ValueError`` if the file was damaged, ``OSError`` if it cannot be read.
    """
    try:
        return _newest(reading.read(path, most=_MOST))
    except FileNotFoundError:
        return None


def make(path: Path, mark: Mark) -> None:
    """Put one there, unless there is one; durable on return. Raises ``OSError``."""
    if path.exists():
        return
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.") as file:  # 0600 from birth
        file.write(_slot(mark) * 2)
        file.flush()
        os.fsync(file.fileno())
        with suppress(FileExistsError):  # a link comes whole or not at all, and replaces nothing
            os.link(file.name, path)
    sync_directory(path.parent)


def move(path: Path, mark: Mark, holds: Callable[[Mark], bool]) -> None:
    """Move it forward to a row that is durable, if it names an earlier one that the trail ``holds``; durable on return.

    In place, so that a full disk does not keep it back. Raises ``OSError`` or ``ValueError``; it is as it was then.
    """
    with _claimed(path) as handle:
        before = _newest(os.pread(handle, 2 * _SLOT, 0))
        if mark.seq <= before.seq or not holds(before):
            return
        older = 0 if _parsed(os.pread(handle, _SLOT, 0)) != before else _SLOT
        os.pwrite(handle, _slot(mark), older)
        os.fdatasync(handle)


@contextmanager
def _claimed(path: Path) -> Iterator[int]:
    handle = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        deadline = time.monotonic() + _WAIT_S
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(_AGAIN_S)
        yield handle
    finally:
        os.close(handle)


def _newest(content: bytes) -> Mark:
    marks = [mark for at in (0, _SLOT) if (mark := _parsed(content[at : at + _SLOT]))]
    if not marks:
        raise ValueError("it names no row")
    return max(marks, key=lambda mark: mark.seq)


def _slot(mark: Mark) -> bytes:
    words = f"{mark.seq} {mark.hash}"
    return f"{words} {_check(words)}\n".encode("ascii").ljust(_SLOT)


def _parsed(slot: bytes) -> Mark | None:
    """The row that a slot names; ``None`` if a power cut has torn it."""
    try:
        seq, digest, check = slot.decode("ascii").split()
        return Mark(int(seq), digest) if check == _check(f"{seq} {digest}") else None
    except ValueError:
        return None


def _check(words: str) -> str:
    return hashlib.sha256(words.encode("ascii")).hexdigest()[:16]
