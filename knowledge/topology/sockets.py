"""Who listens and who talks over loopback, read cheaply enough from ``/proc`` to be sampled many times a second."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from knowledge.topology.peers import Peers

_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
_LISTEN = "0A"
_OWNED = frozenset({"01", "02", "04", "05", "08", "09"})
_V4_MAPPED = "0000000000000000FFFF0000"
_V6_LOOPBACK = "00000000000000000000000001000000"


@dataclass(frozen=True)
class Row:
    """One line of the kernel's socket table, addresses still in its hexadecimal form."""

    local_address: str
    local_port: int
    remote_address: str
    remote_port: int
    state: str
    inode: str

    @property
    def stays_here(self) -> bool:
        """Whether both ends are on this machine: the peer is loopback, or the very address it came from."""
        return is_loopback(self.remote_address) or self.remote_address == self.local_address


def is_loopback(address: str) -> bool:
    """Whether an address in the kernel's hexadecimal form is loopback (127.0.0.0/8, ::1, or mapped 127.0.0.0/8)."""
    if len(address) == 8:
        return address.endswith("7F")
    return address == _V6_LOOPBACK or (address.startswith(_V4_MAPPED) and address.endswith("7F"))


def rows() -> Iterator[Row]:
    """The TCP sockets of this network namespace, both address families."""
    for table in _TABLES:
        try:
            lines = Path(table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:  # no IPv6 here
            continue
        for line in lines:
            field = line.split()
            local, remote = field[1].split(":"), field[2].split(":")
            yield Row(local[0], int(local[1], 16), remote[0], int(remote[1], 16), field[3], field[9])


def inodes_of(pid: int) -> dict[str, int]:
    """Sockets that a process holds open, inode → descriptor; empty if it is gone or not ours to read."""
    found = {}
    try:
        with os.scandir(f"/proc/{pid}/fd") as entries:
            for entry in entries:
                try:
                    link = os.readlink(entry.path)  # noqa: PTH115 -- this is the hot loop, Path costs ten times as much
                except OSError:  # closed meanwhile
                    continue
                if link.startswith("socket:["):
                    found[link[8:-1]] = int(entry.name)
    except OSError:
        return {}
    return found


def listening_ports(pids: Iterable[int]) -> dict[int, set[int]]:
    """TCP ports that each process holds a listening socket of. Forked children share their parent's."""
    ports = {row.inode: row.local_port for row in rows() if row.state == _LISTEN}
    found: dict[int, set[int]] = {}
    for pid in pids:
        held = {ports[inode] for inode in inodes_of(pid).keys() & ports.keys()}
        if held:
            found[pid] = held
    return found


class CallSampler:
    """Looks again and again who holds the client end of connections to local listeners.

    Each socket that is new is asked where it leads; where that is not allowed, the kernel's table is read too and
    joined by inode over all looks: the owner may be seen in one, the address in another. A connection that lives too
    short for either is not found, and sockets in TIME_WAIT have no owner; so what is not seen is unknown, not absent.
    """

    def __init__(self, pids: Collection[int], ports: Collection[int]) -> None:
        self._pids = pids
        self._ports = ports
        self._owner: dict[str, int] = {}
        self._leads_to: dict[str, int] = {}
        self._elsewhere: set[str] = set()
        self._peers = Peers()

    @property
    def calls(self) -> dict[tuple[int, int], int]:
        """(calling pid, port called) → number of different connections seen."""
        found: dict[tuple[int, int], int] = {}
        for inode, port in self._leads_to.items():
            if inode in self._owner:
                call = (self._owner[inode], port)
                found[call] = found.get(call, 0) + 1
        return found

    def look(self) -> None:
        """One look: owners before and after the kernel's table, which takes milliseconds to read."""
        self._note_owners()
        for row in rows():
            if row.state in _OWNED and row.inode != "0" and row.remote_port in self._ports and row.stays_here:
                self._leads_to[row.inode] = row.remote_port
        self._note_owners()

    def _note_owners(self) -> None:
        for pid in self._pids:
            for inode, descriptor in inodes_of(pid).items():
                self._owner.setdefault(inode, pid)
                if inode not in self._leads_to and inode not in self._elsewhere:
                    self._ask(pid, inode, descriptor)

    def _ask(self, pid: int, inode: str, descriptor: int) -> None:
        port = self._peers.port(pid, descriptor)
        if port is not None and port in self._ports:
            self._leads_to[inode] = port
        elif port is not None:  # connected, and not to a server of ours: it will never be
            self._elsewhere.add(inode)

    def watch(
        self,
        window_s: float,
        rate_hz: float = 50,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Look at ``rate_hz`` for ``window_s`` seconds; at least once."""
        end = clock() + window_s
        try:
            while True:
                began = clock()
                self.look()
                if began >= end:
                    return
                sleep(max(0.0, min(1 / rate_hz - (clock() - began), end - clock())))
        finally:
            self._peers.close()
