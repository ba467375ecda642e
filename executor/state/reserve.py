"""Room kept for the journal's last words: a file that is given up when the disk is full. Standard library only."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from executor.errors import UnavailableError

SIZE = 1 << 20
"""Bytes; twice what SQLite's log of the journal grows to before it is begun anew."""
_LOW = 256 << 10
"""Less room than this is as good as none: opening takes an index of 32 KiB, and an act some pages."""


def place(journal: Path) -> Path:
    """Where a journal's reserve is."""
    return journal.with_name(f"{journal.name}-reserve")


def keep(journal: Path) -> None:
    """See that there is one. Raises ``UnavailableError`` if there is no room for it: then no run may begin."""
    path = place(journal)
    handle = -1
    try:
        handle = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
        os.posix_fallocate(handle, 0, SIZE)
    except OSError as error:
        give_up(journal)
        raise UnavailableError(
            f"there is no room for the journal's last words: {error.strerror}.",
            where=str(path),
            hint=f"Make room for {SIZE >> 20} MiB at least.",
        ) from error
    finally:
        if handle >= 0:
            os.close(handle)


def is_kept(journal: Path) -> bool:
    """Whether it is there: if it is not, the disk was full, and what is written now may be the last that fits."""
    return place(journal).exists()


def give_up_if_full(journal: Path) -> None:
    """Free the reserve where there is no other room left, so that what is to be written now fits."""
    with suppress(OSError):
        room = os.statvfs(journal.parent)
        if room.f_bavail * room.f_frsize < _LOW:
            give_up(journal)


def give_up(journal: Path) -> None:
    """Free the reserve. Idempotent; one that cannot be freed stays."""
    with suppress(OSError):
        place(journal).unlink(missing_ok=True)
