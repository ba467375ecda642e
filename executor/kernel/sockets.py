"""Who holds which descriptor and which socket, as the kernel says. Standard library only: the watchdog uses it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from executor.kernel import sockdiag

_LISTEN = frozenset({10})
_ESTABLISHED = frozenset({1})
_OWNED = frozenset({1, 2, 4, 5, 8, 9})
"""Of connections that a process holds: established or being made or closed. Source: Linux ``net/tcp_states.h``."""
_BOUND = frozenset({1, 7})
"""Of sockets for datagrams: connected or not."""


@dataclass(frozen=True)
class Row:
    """One line of the kernel's table of sockets; addresses as in ``sockdiag.Connection``."""

    local: tuple[str, int]
    remote: tuple[str, int]
    inode: str


def held(pid: int) -> frozenset[str]:
    """Inodes of the sockets that a process holds; empty if it is gone or may not be looked at."""
    return frozenset(what[8:-1] for _, what in descriptors(pid) if what.startswith("socket:["))


def descriptors(pid: int) -> list[tuple[int, str]]:
    """What a process holds open: number and the kernel's name for it; empty if it is gone or may not be looked at."""
    found: list[tuple[int, str]] = []
    with suppress(OSError), os.scandir(f"/proc/{pid}/fd") as entries:
        for entry in entries:
            with suppress(OSError):  # closed meanwhile
                found.append((int(entry.name), os.readlink(entry)))  # noqa: PTH115 - thousands: no Path for each
    return found


def listeners(port: int, pid: int | None = None) -> dict[str, str]:
    """The sockets that listen on a port, whatever the address: inode to address; in a process's network or in ours."""
    return bound(port, "tcp", pid)


def bound(port: int, protocol: str, pid: int | None = None) -> dict[str, str]:
    """The sockets that take what is sent to a port by ``tcp`` or ``udp``: inode to address, as ``listeners``."""
    states = _LISTEN if protocol == "tcp" else _BOUND
    return {row.inode: row.local[0] for row in _rows(states, pid, protocol) if row.local[1] == port}


def listeners_of_all() -> dict[str, int]:
    """The sockets of our network that listen: inode to port."""
    return {row.inode: row.local[1] for row in _rows(_LISTEN)}


def calls() -> Iterable[Row]:
    """The connections of our network that somebody holds."""
    return (row for row in _rows(_OWNED) if row.inode != "0")


def datagrams(port: int) -> set[str]:
    """Inodes of the sockets for datagrams that are bound to a port of this network."""
    return {row.inode for row in _rows(_BOUND, protocol="udp") if row.local[1] == port}


def listening(pid: int) -> frozenset[str]:
    """Inodes of the listening sockets that a process holds."""
    return held(pid) & {row.inode for row in _rows(_LISTEN)}


def ports(pid: int) -> set[int]:
    """Ports at which a process takes what is sent, by TCP or UDP."""
    own = held(pid)
    rows = (row for states, protocol in ((_LISTEN, "tcp"), (_BOUND, "udp")) for row in _rows(states, pid, protocol))
    return {row.local[1] for row in rows if row.inode in own}


def connections(pid: int, port: int) -> int:
    """How many connections a process has established to a port."""
    mine = held(pid)
    return sum(1 for row in _rows(_ESTABLISHED) if row.remote[1] == port and row.inode in mine)


def reachable(address: str) -> str:
    """Where to connect to, to reach a listener at ``address`` on this machine."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)  # noqa: S104 - nothing is bound here


def _rows(states: frozenset[int], pid: int | None = None, protocol: str = "tcp") -> Iterable[Row]:
    """Those in one of the states; in a process's network or in ours, of which the kernel is asked if it answers."""
    if protocol == "tcp" and _is_in_our_network(pid):
        with suppress(OSError):
            found = sockdiag.every(sum(1 << state for state in states))
            return [Row(one.local, one.remote, str(one.inode)) for one in found]
    return _read(states, pid, protocol)


def _is_in_our_network(pid: int | None) -> bool:
    try:
        return pid is None or Path(f"/proc/{pid}/ns/net").stat().st_ino == Path("/proc/self/ns/net").stat().st_ino
    except OSError:
        return False


def _read(states: frozenset[int], pid: int | None, protocol: str) -> Iterator[Row]:
    for table in (protocol, f"{protocol}6"):
        try:
            lines = Path(f"/proc/{pid or 'self'}/net/{table}").read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if int(fields[3], 16) in states:
                yield Row(_end(fields[1]), _end(fields[2]), fields[9])


def _end(text: str) -> tuple[str, int]:
    """``0100007F:1F90`` is 127.0.0.1 and 8080: the address comes as 32-bit words in the machine's own byte order."""
    address, _, port = text.partition(":")
    words = [int(address[i : i + 8], 16).to_bytes(4, sys.byteorder) for i in range(0, len(address), 8)]
    return sockdiag.text(b"".join(words)), int(port, 16)
