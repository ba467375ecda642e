"""What a process takes of the machine, as the kernel says; of one that is gone, nothing. Standard library only."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from executor.clock import boottime, stat_fields, ticks_of

_PROCESSOR: Final = slice(11, 13)
"""Places of the time in user and in kernel mode in ``stat_fields``. Source: proc(5), fields 14 and 15."""
_RESIDENT: Final = 21
"""Place of the resident pages there. Source: proc(5), field 24."""


def cores(pid: int, ticks: int) -> float:
    """How many cores' time it has used since it was started, on average."""
    fields = stat_fields(pid)
    if fields is None or ticks_of(fields) != ticks:
        return 0.0
    rate = os.sysconf("SC_CLK_TCK")
    age_s = boottime() - ticks / rate
    return sum(map(int, fields[_PROCESSOR])) / rate / age_s if age_s > 0 else 0.0


def resident_bytes(pid: int, ticks: int) -> int:
    """How much memory it has."""
    fields = stat_fields(pid)
    return 0 if fields is None or ticks_of(fields) != ticks else int(fields[_RESIDENT]) * os.sysconf("SC_PAGE_SIZE")


def sockets(pid: int, ticks: int) -> int:
    """How many sockets it has open, as far as we may look."""
    try:
        with os.scandir(f"/proc/{pid}/fd") as entries:
            found = sum(_is_socket(entry.path) for entry in entries)
    except OSError:
        return 0
    return found if ticks_of(stat_fields(pid)) == ticks else 0


def _is_socket(path: str) -> bool:
    try:
        return Path(path).readlink().name.startswith("socket:")
    except OSError:  # closed meanwhile
        return False
