"""Freezing a file system: what would change it waits until it is thawed. Standard library only.

Source: the kernel's ``FIFREEZE`` and ``FITHAW`` (include/uapi/linux/fs.h), as fsfreeze(8) uses them.
"""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from executor.errors import UnavailableError

_FREEZE: Final = 0xC0045877
_THAW: Final = 0xC0045878
KINDS: Final = ("ext3", "ext4", "xfs", "btrfs", "f2fs")
"""File systems that can be frozen."""


def freeze(path: Path) -> None:
    """Freeze the file system mounted there; what it holds is on disk then. Raises ``UnavailableError``."""
    try:
        _ioctl(path, _FREEZE)
    except OSError as error:
        if error.errno != errno.EBUSY:  # EBUSY: it is frozen
            raise UnavailableError(f"cannot be frozen: {error.strerror}.", where=str(path)) from None


def frozen(path: Path) -> bool:
    """Whether it is frozen. The kernel only tells by a try, so one that is not stands still for an instant.

    Raises ``OSError`` if it cannot be told.
    """
    try:
        _ioctl(path, _FREEZE)
    except OSError as error:
        if error.errno == errno.EBUSY:
            return True
        raise
    _ioctl(path, _THAW)
    return False


def thaw(path: Path) -> None:
    """Let it go on. Idempotent. Raises ``UnavailableError``."""
    try:
        with suppress(FileNotFoundError):
            _ioctl(path, _THAW)
    except OSError as error:
        if error.errno != errno.EINVAL:  # EINVAL: it is not frozen
            raise UnavailableError(f"cannot be thawed: {error.strerror}.", where=str(path)) from None


def _ioctl(path: Path, request: int) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.ioctl(descriptor, request, 0)
    finally:
        os.close(descriptor)
