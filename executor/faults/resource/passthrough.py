"""The helper of resource.io_error: a directory, mounted over itself, in which some calls fail.

It reaches what it hides through a descriptor that it opened before, so no other path leads there.
"""

# The methods are the library's, and paths are text throughout:
# ruff: noqa: ARG002, D102, PTH101, PTH208

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import os
import random
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from fnmatch import fnmatchcase
from typing import Any, Final

import mfusepy

from executor.faults.resource import beneath, locks, mount
from executor.kernel import child

_TIMES = ("st_atime", "st_mtime", "st_ctime")
_STAT = ("st_mode", "st_ino", "st_nlink", "st_uid", "st_gid", "st_size", "st_blocks", "st_blksize", "st_rdev")
_SPACE = ("f_bavail", "f_bfree", "f_blocks", "f_bsize", "f_favail", "f_ffree", "f_files", "f_flag", "f_frsize")
_STATVFS = (*_SPACE, "f_namemax")
_NOT_PASSED_ON: Final = os.O_APPEND | os.O_DIRECT | os.O_NOFOLLOW
"""Each write says whether it appends; what is read into is not aligned; what is a link is found out before."""
_WISHES: Final = 1 << 19 | 1 << 6
"""``FUSE_CAP_POSIX_ACL``: the kernel asks for lists of access rights, and minds them; ``FUSE_CAP_DONT_MASK``: it leaves
to us what a caller's mask takes away, which such a list may overrule."""
_PAUSE_S: Final = 0.005
"""Between two tries to get a lock that somebody else has."""


class Passthrough(mfusepy.Operations):  # type: ignore[misc]
    """Every call is passed on, unless it is to fail; files are handed out by their descriptors here."""

    use_ns = True

    def __init__(self, directory: str, fails: dict[str, Any]) -> None:
        self.over = threading.Event()
        self._below = beneath.Beneath(directory)
        self._operations, self._files = frozenset(fails["operations"]), fails["files"]
        self._errno, self._probability = getattr(errno, fails["errno"]), fails["probability"]
        self._names: dict[int, str] = {}  # the library names no path for a file that was removed while open
        self._locks = locks.Locks()
        os.umask(0)  # the caller's is taken off by us

    def init_with_config(self, connection: Any, config: Any) -> None:
        if config is not None:  # libfuse 2 knows no such wish
            connection.want |= connection.capable & _WISHES
        child.ready()

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        with self._below.found(path, fh) as file:
            about = os.fstat(file)
        return {name: getattr(about, name) for name in _STAT} | {name: getattr(about, f"{name}_ns") for name in _TIMES}

    def statfs(self, path: str) -> dict[str, int]:
        with self._below.found(path) as file:
            about = os.fstatvfs(file)
        return {name: getattr(about, name) for name in _STATVFS}

    def readdir(self, path: str, fh: int) -> Iterator[tuple[str, dict[str, int], int]]:
        self._may_fail("list", path)
        with self._below.found(path, flags=os.O_RDONLY | os.O_DIRECTORY) as directory:
            for name in (".", "..", *os.listdir(directory)):
                with suppress(FileNotFoundError):  # it has just been removed
                    about = os.stat(name, dir_fd=directory, follow_symlinks=False)
                    yield name, {"st_ino": about.st_ino, "st_mode": about.st_mode}, 0  # what has no number is not shown

    def readlink(self, path: str) -> str:
        with self._below.place(path) as (name, directory):
            return os.readlink(name, dir_fd=directory)

    def open(self, path: str, flags: int) -> int:
        self._may_fail("open", path)
        with self._below.found(path) as file:
            if flags & os.O_TRUNC:
                beneath.take_lent_rights(file)
            try:
                descriptor = os.open(beneath.again(file), flags & ~_NOT_PASSED_ON)
            except PermissionError:  # perhaps it may only be appended to, which has to be promised then
                if not flags & os.O_APPEND:
                    raise
                descriptor = os.open(beneath.again(file), flags & ~_NOT_PASSED_ON | os.O_APPEND)
        return self._opened(descriptor, path)

    def create(self, path: str, mode: int, flags: int) -> int:
        self._may_fail("create", path)
        with self._below.place(path) as (name, directory):
            flags, rights = flags & ~_NOT_PASSED_ON, beneath.rights(mode, directory)
            return self._opened(beneath.made(name, directory, flags, rights), path)

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        self._may_fail("read", self._names[fh])
        return os.pread(fh, size, offset)

    def write(self, path: str, data: bytes, offset: int, fh: int, *, append: bool = False) -> int:
        self._may_fail("write", self._names[fh])
        beneath.take_lent_rights(fh)
        return os.pwritev(fh, [data], offset, os.RWF_APPEND if append else 0)

    def lseek(self, path: str, offset: int, whence: int, fh: int) -> int:
        return os.lseek(fh, offset, whence)

    def truncate(self, path: str, length: int, fh: int | None = None) -> None:
        self._may_fail("write", path if fh is None else self._names[fh])
        with self._below.found(path, fh) as file:
            beneath.take_lent_rights(file)
            os.truncate(beneath.again(file), length)

    def fallocate(self, path: str, mode: int, offset: int, size: int, fh: int) -> None:
        self._may_fail("write", self._names[fh])
        beneath.take_lent_rights(fh)
        beneath.passed_on(beneath.LIBC.fallocate, fh, mode, ctypes.c_longlong(offset), ctypes.c_longlong(size))

    def fsync(self, path: str, datasync: int, fh: int) -> None:
        self._may_fail("sync", self._names[fh])
        (os.fdatasync if datasync else os.fsync)(fh)

    def fsyncdir(self, path: str, datasync: int, fh: int) -> None:
        self._may_fail("sync", path)
        with self._below.found(path, flags=os.O_RDONLY | os.O_DIRECTORY) as directory:
            os.fsync(directory)

    def release(self, path: str, fh: int) -> None:
        self._locks.release(fh)
        self._names.pop(fh, None)
        os.close(fh)

    def lock(self, owner: int, fh: int, command: int, lock: Any) -> None:
        self._until_free(command == fcntl.F_SETLKW, lambda: self._locks.take(owner, fh, command, lock))

    def flock(self, fh: int, how: int) -> None:
        self._until_free(not how & fcntl.LOCK_NB, lambda: fcntl.flock(fh, how | fcntl.LOCK_NB))

    def mkdir(self, path: str, mode: int) -> None:
        self._may_fail("create", path)
        with self._below.place(path) as (name, directory):
            os.mkdir(name, beneath.rights(mode, directory), dir_fd=directory)
            beneath.hand_over(name, directory)

    def mknod(self, path: str, mode: int, dev: int) -> None:
        self._may_fail("create", path)
        with self._below.place(path) as (name, directory):
            os.mknod(name, beneath.rights(mode, directory), dev, dir_fd=directory)
            beneath.hand_over(name, directory)

    def symlink(self, target: str, source: str) -> None:
        self._may_fail("create", target)
        with self._below.place(target) as (name, directory):
            os.symlink(source, name, dir_fd=directory)
            beneath.hand_over(name, directory)

    def link(self, target: str, source: str) -> None:
        self._may_fail("create", target)
        with self._below.place(source) as (old, there), self._below.place(target) as (new, here):
            os.link(old, new, src_dir_fd=there, dst_dir_fd=here, follow_symlinks=False)

    def unlink(self, path: str) -> None:
        self._may_fail("remove", path)
        with self._below.place(path) as (name, directory):
            os.unlink(name, dir_fd=directory)

    def rmdir(self, path: str) -> None:
        self._may_fail("remove", path)
        with self._below.place(path) as (name, directory):
            os.rmdir(name, dir_fd=directory)

    def rename(self, old: str, new: str) -> None:
        self._may_fail("rename", old)
        with self._below.place(old) as (before, there), self._below.place(new) as (after, here):
            os.rename(before, after, src_dir_fd=there, dst_dir_fd=here)

    def chmod(self, path: str, mode: int) -> None:
        with self._below.found(path) as file:
            os.chmod(beneath.again(file), mode)

    def chown(self, path: str, uid: int, gid: int) -> None:
        with self._below.found(path) as file:
            os.chown(beneath.again(file), uid, gid)

    def utimens(self, path: str, times: Any = None) -> None:
        with self._below.found(path) as file:
            beneath.passed_on(beneath.LIBC.utimensat, -1, beneath.again(file).encode(), times, 0)

    def getxattr(self, path: str, name: str, position: int = 0) -> bytes:
        with self._below.found(path) as file:
            return os.getxattr(beneath.again(file), name)

    def listxattr(self, path: str) -> list[str]:
        with self._below.found(path) as file:
            return os.listxattr(beneath.again(file))

    def setxattr(self, path: str, name: str, value: bytes, options: int, position: int = 0) -> None:
        with self._below.found(path) as file:
            os.setxattr(beneath.again(file), name, value, options)

    def removexattr(self, path: str, name: str) -> None:
        with self._below.found(path) as file:
            os.removexattr(beneath.again(file), name)

    def _opened(self, descriptor: int, path: str) -> int:
        self._names[descriptor] = path
        return descriptor

    def _until_free(self, waits: bool, take: Callable[[], None]) -> None:
        """Try again and again, so that who waits can be ended, and we can end, while somebody has the lock."""
        while True:
            try:
                return take()
            except BlockingIOError:
                if not waits:
                    raise
            # the library has no other name for it:
            if mfusepy._libfuse.fuse_interrupted() or self.over.wait(_PAUSE_S):
                raise InterruptedError(errno.EINTR, os.strerror(errno.EINTR))

    def _may_fail(self, operation: str, path: str) -> None:
        struck = operation in self._operations and fnmatchcase(path[1:], self._files)
        if struck and random.random() < self._probability:
            raise OSError(self._errno, os.strerror(self._errno))


def _leave_at_the_end(lease: child.Lease, over: threading.Event, main_thread: int) -> None:
    while lease.wait(1.0):
        pass
    over.set()
    signal.pthread_kill(main_thread, signal.SIGTERM)  # the library takes the mount away then


def main() -> None:
    """The helper: mount, serve, and take the mount away again."""
    child.raise_descriptor_limit()
    lease, (mark, directory, fails) = child.lease(sys.argv[1:])
    operations = Passthrough(directory, json.loads(fails))
    told = (lease, operations.over, threading.get_ident())
    threading.Thread(target=_leave_at_the_end, args=told, daemon=True).start()
    mount.Mount(
        operations,
        directory,
        foreground=True,
        allow_other=True,
        default_permissions=True,
        fsname=mark,
        subtype="murphy",
        attr_timeout=0,  # who had files open before goes on beside us
        entry_timeout=0,
        direct_io=True,  # and what they and we write is seen by the other at once
        use_ino=True,
        hard_remove=True,  # else a file that is removed while open would be left under another name
        **mount.options(directory),
    )


if __name__ == "__main__":
    main()
