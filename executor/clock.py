"""Time and process identity, read from the kernel. Standard library only: the watchdog uses it."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Final, Literal, NamedTuple, Protocol

from executor.errors import UnavailableError

Where = Literal["here", "elsewhere", "gone"]
_FIRST: Final = 0xEFFFFFFC
"""Inode of the pid namespace that a machine boots with, in which all its processes are seen. Source: Linux,
``PROC_PID_INIT_INO``."""
_START: Final = 19
"""Place of the start time in ``stat_fields``."""
_taken_for_gone: set[str] = set()


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


@cache
def here() -> str:
    """Which boot, pid namespace and time namespace: where a pid and a start time mean what they do to us. Read once.

    A pid namespace's number comes again as soon as that has ended, in the next container, say: the start time of its
    first process tells it from a later one. Raises ``UnavailableError`` where ``/proc`` shows another pid namespace
    (one entered without its mounts, say): each pid is another process's there than the one that a signal would reach.
    """
    try:
        shown = os.readlink("/proc/self")  # noqa: PTH115 - the kernel's text, not a path
    except OSError:  # it is not even seen there
        shown = "nothing"
    if shown != str(os.getpid()):
        raise UnavailableError(
            f"/proc is that of another pid namespace, which calls this process {shown}.",
            where=f"process {os.getpid()}",
            hint="Enter both namespaces (nsenter -p -m), or mount a /proc of this one.",
        )
    number = _namespace("self", "pid")
    return f"{boot_id()}:{number}{_since(number)}:{_namespace('self', 'time')}"


def _since(number: str) -> str:
    """Empty in the one namespace that a boot has outside of all containers, and where it cannot be read (hidepid)."""
    if number != str(_FIRST):
        with suppress(OSError):
            fields = stat_fields(1)  # also while only other threads of it run
            return "" if fields is None else f"@{int(fields[_START])}"
    return ""


class _Place(NamedTuple):
    """What ``here`` says, in its parts."""

    boot: str
    number: str
    """Of the pid namespace."""
    since: str
    """When its first process started, in clock ticks; empty if that is not told."""
    clock: str
    """Number of the time namespace."""

    @classmethod
    def of(cls, place: str) -> _Place:
        boot, _, namespaces = place.partition(":")
        pids, _, clock = namespaces.partition(":")
        number, _, since = pids.partition("@")
        return cls(boot, number, since, clock)

    def is_in(self, other: _Place) -> bool:
        """Whether both are of one pid namespace, of whatever boot, as far as they tell."""
        return self.number == other.number and (self.since == other.since or not (self.since and other.since))


def whereabouts(place: str) -> Where:
    """Whether what was written down at a place, as ``here`` called it, names processes as we do.

    ``elsewhere``: processes that are named there may live, and to us their pids are other processes'. ``gone``: none of
    them lives, for that was before this boot, or nobody is left in that pid namespace, which is seen only outside of
    all containers, or was said to this process (``take_for_gone``). A bare boot's id, which earlier versions wrote, is
    taken for here.
    """
    told, own = _Place.of(place), _Place.of(here())
    if place == own.boot or (told.is_in(own) and (told.boot, told.clock) == (own.boot, own.clock)):
        return "here"
    if place in _taken_for_gone:
        return "gone"
    return "gone" if told.boot != own.boot or _ended(told) else "elsewhere"


def take_for_gone(place: str) -> None:
    """From now on this process takes it for true that nobody is left there."""
    _taken_for_gone.add(place)


def in_container() -> bool:
    """Whether this process is in another pid namespace than the one that the machine booted with."""
    return _namespace("self", "pid") not in ("", str(_FIRST))


def is_outside(place: str) -> bool:
    """Whether that was in another pid namespace than ours, of whatever boot; the first has one number in all."""
    return ":" in place and not _Place.of(place).is_in(_Place.of(here()))


def seen_at(place: str) -> list[int]:
    """The processes that are there, of those that we see; of a later namespace with its number none is."""
    told = _Place.of(place)
    if _has_successor(told):
        return []
    there = (int(pid) for pid in _pids() if _is_in(told.number, pid) and _is_in(told.clock, pid, "time"))
    return [pid for pid in there if start_ticks(pid) is not None]


def _ended(told: _Place) -> bool:
    if _namespace("self", "pid") != str(_FIRST) or not Path("/proc/1").exists():  # hidepid hides that one first
        return False
    return _has_successor(told) or not any(_may_be_in(told.number, pid) for pid in _pids())


def _has_successor(told: _Place) -> bool:
    """Whether its number is that of a later pid namespace by now, whose first process we see."""
    if not told.since or told.clock != _Place.of(here()).clock:  # else start times are not the same there
        return False
    firsts = (int(pid) for pid in _pids() if _is_in(told.number, pid) and (_names(pid) or [""])[-1] == "1")
    return any(start_ticks(pid) not in (None, int(told.since)) for pid in firsts)


def _pids() -> list[str]:
    with os.scandir("/proc") as entries:
        return [each.name for each in entries if each.name.isdecimal()]


def _may_be_in(namespace: str, pid: str) -> bool:
    try:
        return _namespace(pid, "pid") == namespace
    except OSError:
        return _is_below(pid) is not False


def _is_in(namespace: str, pid: str, kind: str = "pid") -> bool:
    try:
        return _namespace(pid, kind) == namespace
    except OSError:  # another user's
        return False


def _namespace(pid: str, kind: str) -> str:
    """A namespace of a process; empty if the process is gone, or the kernel has none of that kind."""
    try:
        return str(Path(f"/proc/{pid}/ns/{kind}").stat().st_ino)
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _is_below(pid: str) -> bool | None:
    """Whether a process is in a pid namespace below ours, as anybody may read; ``None`` if not even that can be."""
    names = _names(pid)
    return None if names is None else len(names) > 1


def _names(pid: str) -> list[str] | None:
    """What a process is called here and in each pid namespace below, down to its own; ``None`` if we may not know."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return []
    except OSError:
        return None
    return next((line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:")), [])


def is_elsewhere(pid: int) -> bool:
    """Whether a process that we see names others otherwise than we do; one that is gone does not."""
    try:
        return any(_namespace(str(pid), kind) not in ("", _namespace("self", kind)) for kind in ("pid", "time"))
    except OSError:  # another user's
        return bool(_is_below(str(pid)))


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


def stat_fields(pid: int) -> list[bytes] | None:
    """``/proc/PID/stat`` from its third field on, the state's letter; ``None`` if there is no such process."""
    # Not by pathlib, which takes four times as long: a halt reads it of each target more than once.
    try:
        handle = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, ProcessLookupError):
        return None
    try:
        stat = os.read(handle, 4096)
    except ProcessLookupError:
        return None
    finally:
        os.close(handle)
    return stat[stat.rindex(b")") + 2 :].split()


def start_ticks(pid: int) -> int | None:
    """Field 22 of ``/proc/PID/stat``, which tells a process from a later one with its pid; ``None`` if it is gone.

    A zombie counts as gone: it runs nothing and holds nothing.
    """
    return ticks_of(stat_fields(pid))


def ticks_of(fields: list[bytes] | None) -> int | None:
    """The same from what ``stat_fields`` has read."""
    return None if fields is None or fields[0] in b"ZX" else int(fields[_START])


def own_ticks() -> int:
    """Start time of this process, in clock ticks after boot."""
    ticks = start_ticks(os.getpid())
    assert ticks is not None  # we are running
    return ticks
