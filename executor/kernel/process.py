"""Local processes: looking at them, and signalling them without ever hitting another one.

Which one an instance means is told by ``executor.kernel.locate``. Standard library only: the watchdog uses it.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from executor.clock import start_ticks, stat_fields, ticks_of
from executor.errors import UnavailableError
from executor.kernel import program, sockets

if TYPE_CHECKING:
    import subprocess

LEASE_SUFFIX = ".lease"
"""What the name of a helper's deadline file ends with, which is among its arguments."""
_STOPS_WITHIN_S = 2.0


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
    fields = stat_fields(pid)
    return fields[0].decode() if fields is not None and ticks_of(fields) == ticks else None


@contextmanager
def opened(pid: int, ticks: int) -> Iterator[int]:
    """A pidfd of that very process, closed at the end.

    The start time is read after the pidfd is open: from then on the descriptor can mean no other process, so a pid
    that was reused is noticed and never signalled. Raises ``ProcessLookupError`` if that very process is gone.
    """
    gone = ProcessLookupError(f"process {pid} of then is gone")
    try:
        descriptor = os.pidfd_open(pid)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOENT):  # it is a thread's by now; Linux 6.13 and later: ENOENT
            raise gone from error
        raise
    try:
        if not alive(pid, ticks):
            raise gone
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


def send_all(members: Iterable[Sequence[int]], number: signal.Signals) -> bool:
    """Send a signal to each of these very processes, by pid and start time; whether any was still there.

    One that may not be signalled keeps no other from it. Raises the first error, once all have been tried.
    """
    there, failed = False, []
    for pid, ticks in members:
        try:
            there = send(pid, ticks, number) or there
        except OSError as error:
            failed.append(error)
    if failed:
        raise failed[0]
    return there


def end_child(child: subprocess.Popen[bytes], number: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal to a child of ours, through a pidfd too. Nothing if it has ended: until then its pid is its own."""
    if child.poll() is None:
        with suppress(ProcessLookupError):
            descriptor = os.pidfd_open(child.pid)
            try:
                signal.pidfd_send_signal(descriptor, number)
            finally:
                os.close(descriptor)


def hold(members: list[list[int]], *, where: str) -> None:
    """Stop these very processes, the first first so that it makes no more of them, and see that it stands still.

    Raises ``UnavailableError`` if the first is gone.
    """
    for pid, ticks in members:
        send(pid, ticks, signal.SIGSTOP)
    until = time.monotonic() + _STOPS_WITHIN_S
    while (seen := state(*members[0])) not in ("T", None) and time.monotonic() < until:
        time.sleep(0.005)
    if seen is None:
        raise UnavailableError("the process ended before it could be stopped.", where=where)


def wait_gone(pid: int, ticks: int, timeout_s: float) -> bool:
    """Wait until that very process has ended, ``timeout_s`` seconds at most; whether it has."""
    try:
        with opened(pid, ticks) as descriptor:
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            return bool(poll.poll(timeout_s * 1000))
    except ProcessLookupError:
        return True


def end_all(
    members: list[list[int]], number: signal.Signals, within_s: float, *, where: str, surely: bool = True
) -> bool:
    """Send a signal to these very processes, the first first, and wait until they have ended; whether they have.

    Raises ``UnavailableError`` if the first was gone before, or, when ``surely``, if one does not end in time.
    """
    sent = [send(pid, ticks, number) for pid, ticks in members]
    if not sent[0]:
        raise UnavailableError("the process ended by itself before the fault.", where=where)
    until = time.monotonic() + within_s
    ended = all([wait_gone(pid, ticks, max(0.0, until - time.monotonic())) for pid, ticks in members])  # noqa: C419
    if surely and not ended:
        raise UnavailableError(f"the process did not end on {number.name}; it may catch it.", where=where)
    return ended


def command_line(pid: int) -> tuple[str, ...]:
    """Its arguments; empty if it is gone, a zombie, or a thread of the kernel."""
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ()
    return tuple(os.fsdecode(raw).removesuffix("\0").split("\0")) if raw else ()


def parent(pid: int) -> int | None:
    """The pid of its parent; ``None`` if it is gone."""
    with suppress(OSError):
        fields = stat_fields(pid)
        return None if fields is None else int(fields[1])
    return None


def pids() -> list[int]:
    """All processes of this machine (of this pid namespace)."""
    with os.scandir("/proc") as entries:
        return [int(entry.name) for entry in entries if entry.name.isdecimal()]


def members(pid: int, ticks: int) -> list[list[int]]:
    """Pid and start time of a process and of its workers, itself first: together they are one instance.

    A worker is a descendant that runs the same program (``program.same``) and has no listener that the process does not
    hold too; so a server's workers count, and the services that a supervisor has started do not, in whatever language.
    With the first process of a container go all others in it: another container that has joined its pid namespace has
    files of its own, and is none of them. Raises ``UnavailableError`` if that very process is gone.
    """
    pairs = ((worker, start_ticks(worker)) for worker in _workers(pid))
    found = [[pid, ticks], *([worker, since] for worker, since in pairs if since is not None)]
    require(pid, ticks)
    return found


def going(pid: int, ticks: int) -> list[list[int]]:
    """Those of them that nobody has stopped: whoever lets its own go on again must not let go of others'."""
    return [member for member in members(pid, ticks) if stopped(*member) is None]


def require(pid: int, ticks: int) -> None:
    """Raise ``UnavailableError`` unless that very process runs; what was read of its pid before is its own then."""
    if not alive(pid, ticks):
        raise UnavailableError(
            f"process {pid} is gone, or its pid is another process's now.", hint="Discover the system again."
        )


def _workers(pid: int) -> list[int]:
    if pid != 1 and _inner(pid) == 1:
        return _in_namespace_of(pid)
    file = executable(pid)
    children: dict[int | None, list[int]] = {}
    for other in pids():
        children.setdefault(parent(other), []).append(other)
    own: frozenset[str] | None = None
    found: list[int] = []
    ahead = [pid]
    while ahead:
        above = ahead.pop()
        for child in children.get(above, ()):
            if file is None or executable(child) != file:
                continue
            if not (same_program(above, child) or same_program(pid, child)):
                continue
            own = sockets.listening(pid) if own is None else own  # looked up only where somebody asks: it takes a while
            if sockets.listening(child) <= own:
                found.append(child)
                ahead.append(child)
    return sorted(found)


def executable(pid: int) -> tuple[int, int] | None:
    """Which file it runs, by device and inode; ``None`` if it is gone or may not be looked at."""
    try:
        file = Path(f"/proc/{pid}/exe").stat()
    except OSError:
        return None
    return file.st_dev, file.st_ino


def same_program(above: int, below: int) -> bool:
    """Whether a process and one below it run the same program, the executable aside (``program.same``)."""
    return program.same(above, below, (command_line(above), command_line(below)))


def _in_namespace_of(pid: int) -> list[int]:
    """All other processes that see the same processes and files as a container's first."""

    def namespaces(of: int) -> tuple[int, ...] | None:
        try:
            return tuple(Path(f"/proc/{of}/ns/{kind}").stat().st_ino for kind in ("pid", "mnt"))
        except OSError:
            return None

    own = namespaces(pid)
    return sorted(other for other in pids() if own is not None and other != pid and namespaces(other) == own)


def is_called(pid: int, number: int) -> bool:
    """Whether a process knows itself by that pid, in a container too."""
    return _inner(pid) == number


def has_child(pid: int, number: int) -> bool:
    """Whether a process has a child that knows itself by that pid, in a container too."""
    return any(_inner(other) == number and parent(other) == pid for other in pids())


def _inner(pid: int) -> int | None:
    try:
        return int(status(pid).get("NSpid", str(pid)).split()[-1])
    except OSError:
        return None


def status(pid: int) -> dict[str, str]:
    """What the kernel says of a process, by name (``/proc/PID/status``). Raises ``OSError`` if it is gone."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
    return {name: value.strip() for name, _, value in (line.partition(":") for line in text.splitlines())}


def catches(pid: int, number: signal.Signals) -> bool:
    """Whether a process has a handler of its own for a signal. Raises ``OSError`` if it is gone."""
    return bool(int(status(pid)["SigCgt"], 16) >> (number - 1) & 1)


def forbidden(pid: int, ticks: int) -> str | None:
    """Why that very process must not or cannot be signalled by us, in one sentence; ``None`` if it may."""
    if pid in (1, *lineage(os.getpid())):
        return f"process {pid} is Murphy's own, or Murphy was started by it; choose another target."
    try:
        with opened(pid, ticks) as descriptor:
            signal.pidfd_send_signal(descriptor, 0)
    except ProcessLookupError:
        return f"process {pid} is gone; discover the system again."
    except PermissionError:
        return f"process {pid} is another user's; run Murphy as that user, or as root."
    return None


def stopped(pid: int, ticks: int) -> str | None:
    """That it stands still already, in one sentence; ``None`` if it does not."""
    if state(pid, ticks) in ("T", "t"):
        return f"process {pid} has been stopped by somebody already; let it go on first."
    return None


def same_namespaces(pid: int) -> bool:
    """Whether it sees the same files, network, processes, users… as we do, that is, is in no container of its own."""
    try:
        kinds = [kind for kind in os.listdir("/proc/self/ns") if not kind.endswith("_for_children")]  # noqa: PTH208
        return all(
            os.readlink(f"/proc/{pid}/ns/{kind}") == os.readlink(f"/proc/self/ns/{kind}")  # noqa: PTH115
            for kind in kinds
        )
    except OSError:
        return False


def lineage(pid: int) -> Iterator[int]:
    """A process and its ancestors."""
    ahead: int | None = pid
    while ahead:
        yield ahead
        ahead = parent(ahead)
