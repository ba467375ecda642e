"""The library's class for a mount, mended where it leaves out what the kernel says."""

# ruff: noqa: ARG002, D102 - the methods are the library's

from __future__ import annotations

import ctypes
import errno
import os
from typing import Any, Final

import mfusepy

THREADS: Final = 1000
"""As many calls may be answered, or wait for locks, at a time."""


class Mount(mfusepy.FUSE):  # type: ignore[misc]
    """Tells the methods above what the library leaves out."""

    def rename_fuse_3(self, old: bytes, new: bytes, flags: int) -> int:
        if flags:  # to swap two, or not to replace one: callers know that not every file system can
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return int(self.rename_fuse_2(old, new) or 0)

    def utimens_fuse_2(self, path: bytes, times: Any) -> None:
        """As they are: made into numbers, "now" and "leave it" would be times."""
        self.operations.utimens(self._text(path), times)

    def truncate_fuse_3(self, path: bytes | None, length: int, info: Any) -> int:
        return int(self.ftruncate(path, length, info) or 0)

    def write(self, path: bytes | None, data: Any, size: int, offset: int, info: Any) -> int:
        append = bool(info.contents.flags & os.O_APPEND)
        what = ctypes.string_at(data, size)
        return int(self.operations.write(self._text(path), what, offset, info.contents.fh, append=append))

    def lseek(self, path: bytes | None, offset: int, whence: int, info: Any) -> int:
        return int(self.operations.lseek(self._text(path), offset, whence, info.contents.fh))

    def lock(self, path: bytes | None, info: Any, command: int, lock: Any) -> None:
        self.operations.lock(info.contents.lock_owner, info.contents.fh, command, lock.contents)

    def flock(self, path: bytes | None, info: Any, how: int) -> None:
        self.operations.flock(info.contents.fh, how)

    def _text(self, path: bytes | None) -> str | None:
        return None if path is None else path.decode(self.encoding, self.errors)


def options(directory: str) -> dict[str, Any]:
    """How to mount on a directory: what its volume lets be done with its files, neither more nor less, and by how many.

    Before libfuse 3.12 there was no limit, nor the option for it.
    """
    may = os.statvfs(directory).f_flag
    forbids = {"ro": os.ST_RDONLY, "noexec": os.ST_NOEXEC}
    allows = {"suid": os.ST_NOSUID, "dev": os.ST_NODEV}
    limited = (mfusepy.fuse_version_major, mfusepy.fuse_version_minor) >= (3, 12)
    return {
        **{name: bool(may & flag) for name, flag in forbids.items()},
        **{name: not may & flag for name, flag in allows.items()},
        **({"max_threads": THREADS} if limited else {}),
    }
