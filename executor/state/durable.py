"""Files that are whole and on disk, or as they were: a crash leaves no half of one. Standard library only.

A halt is written with it, so it loads little: ``pathlib`` takes as long as the writing, and ``tempfile`` thrice that.
"""

from __future__ import annotations

import errno
import os
import stat

AnyPath = str | os.PathLike[str]


def write(path: AnyPath, content: bytes, *, seen_first: bool = False, mode: int = 0o600) -> None:
    """Put a file in its place; on disk on return. Raises ``OSError``, with the old file left as it was.

    ``seen_first``: others see it, whole, before it is on disk, which takes a while on a busy one; after an error of the
    disk it may stay in its place.
    """
    directory, name = os.path.split(path)
    beside = os.path.join(directory, f".{name}.{os.urandom(8).hex()}")
    with open(beside, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
        try:
            file.write(content)
            file.flush()
            if not seen_first:
                os.fsync(file.fileno())
            os.replace(beside, path)
        except BaseException:
            if os.path.lexists(beside):
                os.unlink(beside)
            raise
        if seen_first:
            os.fsync(file.fileno())
    sync_directory(directory or ".")


def sync_directory(path: AnyPath) -> None:
    """Make what was put into, or taken out of, a directory durable. Raises ``OSError``."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def create(path: AnyPath) -> None:
    """See that a database's file is there, mode 0600 from birth. Raises ``OSError`` if it is none, or cannot be made.

    One that is there is not opened: closing it again would drop every lock that this process holds on it (POSIX), and
    then another process takes itself for the last user of the database and removes its log under those that write it.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        if not stat.S_ISREG(os.stat(path).st_mode):  # SQLite would wait for somebody to write into a pipe
            raise OSError(errno.EINVAL, "it is not a regular file", str(path)) from None
    else:
        sync_directory(os.path.dirname(path) or ".")
