"""A process's turn at the disk, as ``ionice`` sets it. Standard library only."""

from __future__ import annotations

import ctypes
import os
import platform
from typing import Final

_CALLS: Final = {"x86_64": (252, 251), "aarch64": (31, 30)}
"""Numbers of ioprio_get and ioprio_set, which the C library has no functions for. Source: syscalls(2)."""
_PROCESS: Final = 1
_CLASS: Final = 13
"""Which bits say its class: none of its own is 0. Source: linux/ioprio.h."""


def of(pid: int) -> int | None:
    """As the kernel has it, 0 for a process itself; ``None`` where that cannot be told. Raises ``OSError``."""
    calls = _CALLS.get(platform.machine())
    return _asked(calls[0], pid) if calls else None


def take(priority: int | None) -> None:
    """For a process itself: the priority that another one had. Raises ``OSError`` if the kernel refuses."""
    calls = _CALLS.get(platform.machine())
    if calls and priority and priority >> _CLASS and priority != of(0):  # else it follows from nice, and goes on to
        _asked(calls[1], 0, priority)


def _asked(number: int, pid: int, *more: int) -> int:
    library = ctypes.CDLL(None, use_errno=True)
    said = int(library.syscall(ctypes.c_long(number), _PROCESS, pid, *more))
    if said < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return said
