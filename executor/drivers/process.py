"""Local processes: finding them, looking at them, and signalling them without ever hitting another one.

Standard library only: the watchdog uses it.
"""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from executor.clock import start_ticks
from executor.errors import UnavailableError

if TYPE_CHECKING:
    from executor.model.system import ProcessInstance

_LISTEN = "0A"


@dataclass(frozen=True)
class Found:
    """One very process."""

    pid: int
    start_ticks: int


def alive(pid: int, ticks: int) -> bool:
    """Whether that very process still runs; a zombie does not."""
    return start_ticks(pid) == ticks


def state(pid: int, ticks: int) -> str | None:
    """One letter of ``/proc/PID/stat`` (``R``, ``S``, ``T`` stopped…); ``None`` if that very process is gone."""
    if not alive(pid, ticks):
        return None
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return stat[stat.rindex(")") + 2]


@contextmanager
def opened(pid: int, ticks: int) -> Iterator[int]:
    """A pidfd of that very process, closed at the end.

    The start time is read after the pidfd is open: from then on the descriptor can mean no other process, so a pid
    that was reused is noticed and never signalled. Raises ``ProcessLookupError`` if that very process is gone.
    """
    descriptor = os.pidfd_open(pid)
    try:
        if not alive(pid, ticks):
            raise ProcessLookupError(f"process {pid} of then is gone")
        yield descriptor
    finally:
        os.close(descriptor)


def send(pid: int, ticks: int, number: signal.Signals) -> bool:
    """Send a signal to that very process. ``False``: it is gone, and nobody got the signal.

    Raises ``PermissionError`` if it may not be signalled.
    """
    try:
        with opened(pid, ticks) as descriptor:
            signal.pidfd_send_signal(descriptor, number)
    except ProcessLookupError:
        return False
    return True


def wait_gone(pid: int, ticks: int, timeout_s: float) -> bool:
    """Wait until that very process has ended, ``timeout_s`` seconds at most; whether it has."""
    try:
        with opened(pid, ticks) as descriptor:
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            return bool(poll.poll(timeout_s * 1000))
    except ProcessLookupError:
        return True


def command_line(pid: int) -> tuple[str, ...]:
    """Its arguments; empty if it is gone, a zombie, or a thread of the kernel."""
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ()
    return tuple(os.fsdecode(part) for part in raw.rstrip(b"\0").split(b"\0")) if raw else ()


def parent(pid: int) -> int | None:
    """The pid of its parent; ``None`` if it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return int(stat[stat.rindex(")") + 2 :].split()[1])


def pids() -> list[int]:
    """All processes of this machine (of this pid namespace)."""
    return [int(entry.name) for entry in os.scandir("/proc") if entry.name.isdecimal()]


def sockets(pid: int) -> frozenset[str]:
    """Inodes of the sockets it holds; empty if it is gone or may not be looked at."""
    found: set[str] = set()
    try:
        for descriptor in os.scandir(f"/proc/{pid}/fd"):
            try:
                link = os.readlink(descriptor)  # noqa: PTH115 - thousands a second: no Path for each
            except OSError:
                continue
            if link.startswith("socket:["):
                found.add(link[8:-1])
    except OSError:
        pass
    return frozenset(found)


def listeners(port: int) -> frozenset[str]:
    """Inodes of the sockets that listen on a TCP port, whatever the address."""
    found: set[str] = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                found.add(fields[9])
    return frozenset(found)


def find(instance: ProcessInstance) -> Found:
    """The process an instance means, right now.

    Of several that share a listening socket (a server and its workers) it is the one whose parent is not among them.
    Raises ``UnavailableError`` if there is none, more than one, or a pinned one is gone.
    """
    if instance.pid is not None and instance.start_ticks is not None:
        if not alive(instance.pid, instance.start_ticks):
            raise UnavailableError(
                f"process {instance.pid} is gone, or its pid is another process's now.",
                where=instance.id,
                hint="Discover the system again.",
            )
        return Found(instance.pid, instance.start_ticks)
    matching = set(matches(instance))
    heads = sorted(pid for pid in matching if parent(pid) not in matching)
    if len(heads) != 1:
        what = " and ".join(
            part
            for part in (
                f"listens on port {instance.port}" if instance.port else "",
                f"has {instance.command!r} in its command line" if instance.command else "",
            )
            if part
        )
        seen = f"{len(heads)} processes ({', '.join(map(str, heads))})" if heads else "no process"
        raise UnavailableError(
            f"{seen} {what}; exactly one should.",
            where=instance.id,
            hint="Start it, or discover the system again." if not heads else "Make command or port more exact.",
        )
    ticks = start_ticks(heads[0])
    if ticks is None:
        raise UnavailableError(f"process {heads[0]} ended while it was looked at.", where=instance.id)
    return Found(heads[0], ticks)


def matches(instance: ProcessInstance) -> Iterator[int]:
    """Pids of the processes that fit an instance's port and command line, this process aside."""
    wanted = listeners(instance.port) if instance.port else None
    if wanted is not None and not wanted:
        return
    for pid in pids():
        if pid == os.getpid() or (instance.command and instance.command not in " ".join(command_line(pid))):
            continue
        if start_ticks(pid) is not None and (wanted is None or wanted & sockets(pid)):
            yield pid
