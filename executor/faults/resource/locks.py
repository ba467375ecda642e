"""Locks on parts of files, taken for others: where the helper of resource.io_error holds what its callers lock.

They are the kernel's own, on the file itself, so who opened it before the fault and who opened it during it keep each
other out. What somebody locks here is held by a description of its own for each owner and file.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import threading
from typing import Any

_Key = tuple[int, int, int]


class Locks:
    """Those of one mount."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._held: dict[_Key, tuple[int, int]] = {}  # by device, inode and owner: descriptor, and the file it is for

    def take(self, owner: int, fh: int, command: int, lock: Any) -> None:
        """Set, give back or ask for a lock, as fcntl(2) says, and wait for nobody. Raises ``BlockingIOError``."""
        about = os.fstat(fh)
        key = (about.st_dev, about.st_ino, owner)
        with self._mutex:
            if lock.l_type == fcntl.F_UNLCK and not (lock.l_start or lock.l_len):  # all of it: also when it is closed
                self._drop(key)
                return
            if key not in self._held:
                self._held[key] = (_for_locks(fh), fh)
            lock.l_pid = 0
            asks = command == fcntl.F_GETLK
            said = fcntl.fcntl(self._held[key][0], fcntl.F_OFD_GETLK if asks else fcntl.F_OFD_SETLK, bytes(lock))
            if asks:
                ctypes.memmove(ctypes.byref(lock), said, len(said))

    def release(self, fh: int) -> None:
        """Give back what was locked by a file that is closed now."""
        with self._mutex:
            for key in [key for key, (_, by) in self._held.items() if by == fh]:
                self._drop(key)

    def _drop(self, key: _Key) -> None:
        if key in self._held:
            os.close(self._held.pop(key)[0])


def _for_locks(fh: int) -> int:
    """A descriptor that takes locks of either kind, if the volume lets it; the kernel has looked who may have which."""
    try:
        return os.open(f"/proc/self/fd/{fh}", os.O_RDWR)
    except OSError:
        return os.open(f"/proc/self/fd/{fh}", os.O_RDONLY)
