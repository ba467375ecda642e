"""Network namespaces: a process's own is told by the kernel's number and entered through whoever is in it.

The number says nothing after its namespace is gone, when another may get it; so what is made in one bears our mark, and
only that is ever removed. Standard library only: the watchdog uses it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from executor.errors import UnavailableError
from executor.kernel import process, reach, sockets

_NAMED: Final = (Path("/run/netns"), Path("/run/docker/netns"))
"""Where namespaces are kept by name, also when no process is in them."""
_OWN: Final = Path("/proc/self/ns/net")
_SYSTEM_PROGRAMS: Final = ("/usr/sbin", "/sbin")
"""A service's or a user's search path may lack them."""
_ANSWER_S: Final = 10.0
_CLONE_NEWNET: Final = 0x40000000
"""Source: linux/sched.h."""


class NamespaceGoneError(UnavailableError):
    """Nobody is in the network namespace any more, or nobody through whom it could be entered."""


def of(pid: int, ticks: int) -> int | None:
    """The network namespace of that very process; ``None``: our own.

    Raises ``UnavailableError`` if the process is gone or may not be looked at.
    """
    try:
        number = Path(f"/proc/{pid}/ns/net").stat().st_ino
    except OSError as error:
        raise UnavailableError(
            f"the network of process {pid} cannot be looked at ({error.strerror}).",
            hint="Discover the system again, or run Murphy as root.",
        ) from None
    process.require(pid, ticks)
    return None if number == _OWN.stat().st_ino else number


def own() -> int:
    """The number of our own."""
    return _OWN.stat().st_ino


def listening(pid: int, ticks: int, port: int | None, workers: Iterable[int] = ()) -> dict[str, Any]:
    """Where the packets of a listener pass: its process, namespace (``net``), ``port`` and ``addresses`` (none: any).

    ``reach`` says for each protocol in which of them it is told from others who have the port, ``datagrams`` where
    others take such. ``workers`` are pids of the same instance. Raises ``UnavailableError`` if that very process does
    not listen there, or somebody else does at the very same address.
    """
    if port is None:
        raise UnavailableError("it listens on no known port.", hint="Name the port in system.yaml.")
    net, ours = of(pid, ticks), sockets.held(pid)
    listens = not ours.isdisjoint(sockets.listeners(port, pid))
    ours = ours.union(*map(sockets.held, workers))
    reached = {protocol: reach.of(port, protocol, ours, pid) for protocol in reach.PROTOCOLS}
    addresses = reached["tcp"].at
    others = filter(None, (reach.shared(port, protocol, ours, pid) for protocol in reach.PROTOCOLS))
    both, strange = next(others, None), reach.strangers(port, "udp", ours, pid)
    process.require(pid, ticks)
    if not listens:
        raise UnavailableError(f"process {pid} does not listen on port {port}.", hint="Discover the system again.")
    if both:
        raise UnavailableError(
            f"{both} is listened on too, so that packets to process {pid} cannot be told from others.",
            hint="Choose another fault, or have only one of them there.",
        )
    return {
        "pid": pid,
        "ticks": ticks,
        "net": net,
        "port": port,
        "addresses": [] if set(reach.ANY.values()) & set(addresses) else addresses,
        "reach": {protocol: list(each) for protocol, each in reached.items()},
        "datagrams": sorted(strange),
    }


def known() -> dict[int, Path]:
    """The network namespaces of this machine but our own, each with a file through which it can be entered."""
    files = [Path(f"/proc/{pid}/ns/net") for pid in process.pids()]
    for directory in _NAMED:
        with suppress(OSError):
            files += directory.iterdir()
    found: dict[int, Path] = {}
    own = _OWN.stat()
    for file in files:
        with suppress(OSError):  # it ended meanwhile, or is another user's
            status = file.stat()
            if status.st_dev == own.st_dev:  # else a plain file, on which one was mounted once
                found.setdefault(status.st_ino, file)
    found.pop(own.st_ino, None)
    return found


def program(name: str) -> str | None:
    """Where a program of the system is; ``None`` if it is not installed."""
    return shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", os.defpath), *_SYSTEM_PROGRAMS)))


def enter(net: int | None) -> None:
    """Be in that network namespace from now on: this thread, and what it starts. ``None``: stay.

    Raises ``NamespaceGoneError``, or ``UnavailableError`` if it may not be entered.
    """
    if net is None:
        return
    import ctypes  # only helpers need it

    descriptor = opened(net)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(descriptor, _CLONE_NEWNET):
            why = os.strerror(ctypes.get_errno())
            raise UnavailableError(f"network namespace {net} cannot be entered ({why}).", hint="Run Murphy as root.")
    finally:
        os.close(descriptor)


def run(net: int | None, command: Sequence[str], script: str = "") -> subprocess.CompletedProcess[bytes]:
    """Run a program of the system in a network namespace (``None``: our own), given ``script``; 10 s at most.

    Raises ``NamespaceGoneError``, or ``UnavailableError`` if it is not installed, cannot be run or does not end.
    """
    path = program(command[0])
    if path is None:
        raise UnavailableError(f"{command[0]} is not installed, or no longer; install it.")
    with _door(net) as (before, descriptors):
        try:
            return subprocess.run(
                [*before, path, *command[1:]],
                input=script.encode(),
                capture_output=True,
                timeout=_ANSWER_S,
                check=False,
                pass_fds=descriptors,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UnavailableError(f"{command[0]} cannot be asked: {error}.") from None


@contextmanager
def _door(net: int | None) -> Iterator[tuple[list[str], list[int]]]:
    """Words before a command that run it in the namespace, and the descriptor that they speak of."""
    if net is None:
        yield [], []
        return
    descriptor = opened(net)
    try:
        yield [program("nsenter") or "nsenter", f"--net=/proc/self/fd/{descriptor}"], [descriptor]
    finally:
        os.close(descriptor)


def opened(net: int) -> int:
    """A descriptor of the namespace, for the caller to close. Raises ``NamespaceGoneError``."""
    with suppress(OSError, KeyError):
        descriptor = os.open(known()[net], os.O_RDONLY | os.O_CLOEXEC)
        if os.fstat(descriptor).st_ino == net:  # else the process through which we came has just ended
            return descriptor
        os.close(descriptor)
    raise NamespaceGoneError(f"nobody is in network namespace {net} any more.")
