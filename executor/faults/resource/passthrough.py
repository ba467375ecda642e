"""The helper of resource.io_error: a directory, mounted over itself, in which some calls fail.

It reaches what it hides through a descriptor that it opened before, so no other path leads there.
"""

# The methods are the library's, and paths are text throughout:
# ruff: noqa: ARG002, D102, PTH101, PTH102, PTH104, PTH106, PTH108, PTH115, PTH208, PTH211

from __future__ import annotations

import errno
import json
import os
import random
import signal
import stat
import sys
import threading
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import mfusepy

from executor.kernel import child

_TIMES = ("st_atime", "st_mtime", "st_ctime")
_STAT = ("st_mode", "st_ino", "st_nlink", "st_uid", "st_gid", "st_size", "st_blocks", "st_blksize", "st_rdev")
_STATVFS = ("f_bavail", "f_bfree", "f_blocks", "f_bsize", "f_favail", "f_ffree", "f_files", "f_flag", "f_frsize")


class Passthrough(mfusepy.Operations):  # type: ignore[misc]
    """Every call is passed on, unless it is to fail; files are handed out by their descriptors here."""

    use_ns = True

    def __init__(self, directory: str, fails: dict[str, Any]) -> None:
        self._root = f"/proc/self/fd/{os.open(directory, os.O_PATH | os.O_DIRECTORY)}"
        self._operations, self._files = frozenset(fails["operations"]), fails["files"]
        self._errno, self._probability = getattr(errno, fails["errno"]), fails["probability"]
        self._names: dict[int, str] = {}  # the library names no path for a file that was removed while open
        self._once_more: set[tuple[int, int]] = set()
        os.umask(0)  # the caller's has been taken off already

    def init(self, path: str) -> None:
        child.ready()

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        about = os.lstat(self._at(path)) if fh is None else os.fstat(fh)
        return {name: getattr(about, name) for name in _STAT} | {name: getattr(about, f"{name}_ns") for name in _TIMES}

    def statfs(self, path: str) -> dict[str, int]:
        about = os.statvfs(self._at(path))
        return {name: getattr(about, name) for name in _STATVFS}

    def readdir(self, path: str, fh: int) -> Iterator[str]:
        self._may_fail("list", path)
        yield from (".", "..", *os.listdir(self._at(path)))

    def readlink(self, path: str) -> str:
        return os.readlink(self._at(path))

    def open(self, path: str, flags: int) -> int:
        self._may_fail("open", path)
        return self._opened(os.open(self._at(path), flags & ~os.O_DIRECT), path)  # what is read into is not aligned

    def create(self, path: str, mode: int, flags: int) -> int:
        self._may_fail("create", path)
        descriptor = os.open(self._at(path), (flags | os.O_CREAT) & ~os.O_DIRECT, mode)
        self._hand_over(path)
        return self._opened(descriptor, path)

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        again = (fh, offset)
        if again in self._once_more:  # the kernel's own second try, when what it read ahead has failed
            self._once_more.discard(again)
            raise self._error()
        if self._fails("read", self._names[fh]):
            self._once_more.add(again)
            raise self._error()
        return os.pread(fh, size, offset)

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        self._may_fail("write", self._names[fh])
        return os.pwrite(fh, data, offset)

    def truncate(self, path: str, length: int, fh: int | None = None) -> None:
        self._may_fail("write", path if fh is None else self._names[fh])
        os.truncate(self._at(path) if fh is None else fh, length)

    def fallocate(self, path: str, mode: int, offset: int, size: int, fh: int) -> None:
        self._may_fail("write", self._names[fh])
        if mode:
            raise OSError(errno.EOPNOTSUPP, "only plain allocation is passed on")
        os.posix_fallocate(fh, offset, size)

    def fsync(self, path: str, datasync: int, fh: int) -> None:
        self._may_fail("sync", self._names[fh])
        (os.fdatasync if datasync else os.fsync)(fh)

    def fsyncdir(self, path: str, datasync: int, fh: int) -> None:
        self._may_fail("sync", path)
        descriptor = os.open(self._at(path), os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def release(self, path: str, fh: int) -> None:
        self._once_more = {(file, offset) for file, offset in self._once_more if file != fh}
        self._names.pop(fh, None)
        os.close(fh)

    def mkdir(self, path: str, mode: int) -> None:
        self._may_fail("create", path)
        os.mkdir(self._at(path), mode)
        self._hand_over(path)

    def mknod(self, path: str, mode: int, dev: int) -> None:
        self._may_fail("create", path)
        os.mknod(self._at(path), mode, dev)
        self._hand_over(path)

    def symlink(self, target: str, source: str) -> None:
        self._may_fail("create", target)
        os.symlink(source, self._at(target))
        self._hand_over(target)

    def link(self, target: str, source: str) -> None:
        self._may_fail("create", target)
        os.link(self._at(source), self._at(target), follow_symlinks=False)

    def unlink(self, path: str) -> None:
        self._may_fail("remove", path)
        os.unlink(self._at(path))

    def rmdir(self, path: str) -> None:
        self._may_fail("remove", path)
        os.rmdir(self._at(path))

    def rename(self, old: str, new: str) -> None:
        self._may_fail("rename", old)
        os.rename(self._at(old), self._at(new))

    def chmod(self, path: str, mode: int) -> None:
        os.chmod(self._at(path), mode)

    def chown(self, path: str, uid: int, gid: int) -> None:
        os.lchown(self._at(path), uid, gid)

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> None:
        os.utime(self._at(path), ns=times, follow_symlinks=False) if times else os.utime(self._at(path))

    def getxattr(self, path: str, name: str, position: int = 0) -> bytes:
        return os.getxattr(self._at(path), name, follow_symlinks=False)

    def listxattr(self, path: str) -> list[str]:
        return os.listxattr(self._at(path), follow_symlinks=False)

    def setxattr(self, path: str, name: str, value: bytes, options: int, position: int = 0) -> None:
        os.setxattr(self._at(path), name, value, options, follow_symlinks=False)

    def removexattr(self, path: str, name: str) -> None:
        os.removexattr(self._at(path), name, follow_symlinks=False)

    def _opened(self, descriptor: int, path: str) -> int:
        self._names[descriptor] = path
        return descriptor

    def _at(self, path: str) -> str:
        return self._root + path

    def _may_fail(self, operation: str, path: str) -> None:
        if self._fails(operation, path):
            raise self._error()

    def _fails(self, operation: str, path: str) -> bool:
        struck = operation in self._operations and fnmatchcase(path[1:], self._files)
        return struck and random.random() < self._probability

    def _error(self) -> OSError:
        return OSError(self._errno, os.strerror(self._errno))

    def _hand_over(self, path: str) -> None:
        """What a caller makes is the caller's, and its group's unless the directory says another."""
        uid, gid, _ = mfusepy.fuse_get_context()
        inherited = os.lstat(self._at(path.rpartition("/")[0] or "/")).st_mode & stat.S_ISGID
        os.lchown(self._at(path), uid, -1 if inherited else gid)


def _leave_at_the_end(lease: child.Lease, main_thread: int) -> None:
    while lease.wait(1.0):
        pass
    signal.pthread_kill(main_thread, signal.SIGTERM)  # the library takes the mount away then


def main() -> None:
    """The helper: mount, serve, and take the mount away again."""
    lease, (mark, directory, fails) = child.lease(sys.argv[1:])
    told = (lease, threading.get_ident())
    threading.Thread(target=_leave_at_the_end, args=told, daemon=True).start()
    mfusepy.FUSE(
        Passthrough(directory, json.loads(fails)),
        directory,
        foreground=True,
        allow_other=True,
        default_permissions=True,
        fsname=mark,
        subtype="murphy",
        attr_timeout=0,  # who had files open before goes on beside us
        entry_timeout=0,
        use_ino=True,
        hard_remove=True,  # else a file that is removed while open would be left under another name
    )


if __name__ == "__main__":
    main()
