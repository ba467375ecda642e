"""Time and process identity, read from the kernel. Standard library only: the watchdog uses it."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Protocol


class Clock(Protocol):
    """Where a run gets its time stamps from; passed in, so that a test can hold it still."""

    def now(self) -> datetime:
        """Wall time, with time zone."""

    def monotonic(self) -> float:
        """Seconds that never go back, from an arbitrary start."""


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> datetime:
        """Wall time in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds since some fixed moment; stands still while the machine sleeps."""
        return time.monotonic()


SYSTEM_CLOCK = SystemClock()


def boottime() -> float:
    """Seconds since boot, sleep included. Leases run on it: no step of the wall clock can stretch one."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@cache
def boot_id() -> str:
    """Unique to this boot; a lease written under another one has ended. Read once: later no file may be had for it."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def machine() -> str:
    """Unique to this machine's installation, as far as it has a name of its own: its machine id, or its host name."""
    for place in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        with suppress(OSError):
            if name := Path(place).read_text(encoding="ascii", errors="replace").strip():
                return name
    return os.uname().nodename


def wall() -> str:
    """Wall time in UTC as text, for records."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def start_ticks(pid: int) -> int | None:
    """Field 22 of ``/proc/PID/stat``, which tells a process from a later one with its pid; ``None`` if it is gone.

    A zombie counts as gone: it runs nothing and holds nothing.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat[stat.rindex(")") + 2 :].split()
    return None if fields[0] in "ZX" else int(fields[19])


def own_ticks() -> int:
    """Start time of this process, in clock ticks after boot."""
    ticks = start_ticks(os.getpid())
    assert ticks is not None  # we are running
    return ticks
