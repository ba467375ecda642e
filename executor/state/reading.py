"""Reading files that anybody may have put there: a pipe must not hang us, nor an endless one fill the memory.

Standard library only.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

MOST_BYTES = 64 * 2**20
"""More than any file that Murphy reads whole."""


def read(path: Path, *, most: int = MOST_BYTES) -> bytes:
    """The content of a regular file. Raises ``OSError``, at once, for any other kind and for over ``most`` bytes."""
    with regular(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"it has over {most // 2**20} MiB", str(path))
    return content


def regular(path: Path) -> BinaryIO:
    """A regular file, opened. Raises ``OSError``, at once, for any other kind."""
    return os.fdopen(opened(path), "rb")


def opened(path: Path) -> int:
    """The descriptor of a regular file, for whoever may not close it. Raises ``OSError`` as ``regular`` does."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    return descriptor
