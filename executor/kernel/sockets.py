"""Who holds which descriptor and which socket, from ``/proc``. Standard library only: the watchdog uses it."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_LISTEN = ("0A",)
_ESTABLISHED = ("01",)
_BOUND = ("01", "07")
"""Of sockets for datagrams: connected or not."""


@dataclass(frozen=True)
class Row:
    """One line of the kernel's table of sockets."""

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


def _rows(states: tuple[str, ...], pid: int | None = None, protocol: str = "tcp") -> Iterator[Row]:
    for table, family in ((protocol, socket.AF_INET), (f"{protocol}6", socket.AF_INET6)):
        try:
            lines = Path(f"/proc/{pid or 'self'}/net/{table}").read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] in states:
                yield Row(_end(fields[1], family), _end(fields[2], family), fields[9])


def _end(text: str, family: socket.AddressFamily) -> tuple[str, int]:
    """``0100007F:1F90`` is 127.0.0.1 and 8080: the address comes as 32-bit words in the machine's own byte order."""
    address, _, port = text.partition(":")
    words = [int(address[i : i + 8], 16).to_bytes(4, sys.byteorder) for i in range(0, len(address), 8)]
    return socket.inet_ntop(family, b"".join(words)), int(port, 16)
