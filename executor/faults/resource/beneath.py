"""The files under a directory, reached through a descriptor of it, by whom the caller is not.

One goes down step by step and through no symbolic link: the kernel has followed those that are the caller's to follow,
and one that is put in the way meanwhile would lead us, who may do all, anywhere.
"""

# ruff: noqa: PTH101 - paths are text throughout

from __future__ import annotations

import ctypes
import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import mfusepy

LIBC: Final = ctypes.CDLL(None, use_errno=True)
_STEP: Final = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW


class Beneath:
    """Those under one directory, also while something else is mounted on it. Paths begin with a slash."""

    def __init__(self, directory: str) -> None:
        self._root = os.open(directory, os.O_PATH | os.O_DIRECTORY)

    @contextmanager
    def place(self, path: str) -> Iterator[tuple[str, int]]:
        """A name, and the directory that it is in, as long as this is entered."""
        *above, name = path[1:].split("/")
        directory = os.dup(self._root)
        try:
            for part in above:
                below = os.open(part, _STEP, dir_fd=directory)
                os.close(directory)
                directory = below
            yield name or ".", directory
        finally:
            os.close(directory)

    @contextmanager
    def found(self, path: str, fh: int | None = None, flags: int = os.O_PATH) -> Iterator[int]:
        """A file, or the link that it is, as long as this is entered; ``fh`` if it is open already."""
        if fh is not None:
            yield fh
            return
        with self.place(path) as (name, directory):
            file = os.open(name, flags | os.O_NOFOLLOW, dir_fd=directory)
        try:
            yield file
        finally:
            os.close(file)


def again(file: int) -> str:
    """A path to what a descriptor is of, which leads nowhere else, though it is a link."""
    return f"/proc/self/fd/{file}"


def passed_on(call: Any, *arguments: Any) -> None:
    """Call the C library for what Python has no way to say. Raises ``OSError``."""
    if call(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def made(name: str, directory: int, flags: int, mode: int) -> int:
    """Make a file for a caller, and open it. Raises ``OSError``: ESTALE if somebody else made it meanwhile.

    The kernel looks again then, and minds whose it is: it has only seen that there was none.
    """
    try:
        descriptor = os.open(name, flags | os.O_CREAT | os.O_EXCL, mode, dir_fd=directory)
    except FileExistsError:
        if flags & os.O_EXCL:  # so nobody's was wanted
            raise
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE)) from None
    given = os.fstat(descriptor).st_mode
    os.fchown(descriptor, *_owner(directory))
    if given & (stat.S_ISUID | stat.S_ISGID):  # to lend its rights ends with another owner
        os.fchmod(descriptor, stat.S_IMODE(given))
    return descriptor


def rights(mode: int, directory: int) -> int:
    """Those of what a caller makes: its mask takes some away, unless the directory has a list for what is made in it.

    The kernel knows of no such list when it asks us, and so leaves the mask to us.
    """
    try:
        os.getxattr(again(directory), "system.posix_acl_default")
    except OSError:
        return mode & ~int(mfusepy._libfuse.fuse_get_context().contents.umask)  # the library has no other name for it
    return mode


def hand_over(name: str, directory: int) -> None:
    """What a caller makes is the caller's, and its group's unless the directory says another."""
    os.chown(name, *_owner(directory), dir_fd=directory, follow_symlinks=False)


def _owner(directory: int) -> tuple[int, int]:
    uid, gid, _ = mfusepy.fuse_get_context()
    return uid, -1 if os.fstat(directory).st_mode & stat.S_ISGID else gid


def take_lent_rights(file: int) -> None:
    """Who changes a file that lends its owner's or group's rights takes them off it, unless he is root.

    The kernel leaves that to us, and does it for nobody who is root.
    """
    uid, _, _ = mfusepy.fuse_get_context()
    mode = os.fstat(file).st_mode
    lent = mode & (stat.S_ISUID | (stat.S_ISGID if mode & stat.S_IXGRP else 0))
    if uid and lent:
        os.chmod(again(file), stat.S_IMODE(mode & ~lent))
