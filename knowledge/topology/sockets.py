"""Who listens and who talks over loopback, read cheaply enough to be sampled many times a second."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable

from executor.kernel import sockets
from knowledge.topology.peers import Peers


def inodes_of(pid: int) -> dict[str, int]:
    """Sockets that a process holds open, inode → descriptor; empty if it is gone or not ours to read."""
    return {what[8:-1]: number for number, what in sockets.descriptors(pid) if what.startswith("socket:[")}


def listening_ports(pids: Iterable[int]) -> dict[int, set[int]]:
    """TCP ports that each process holds a listening socket of. Forked children share their parent's."""
    ports = sockets.listeners_of_all()
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
        for row in sockets.calls():
            if row.remote[1] in self._ports and _stays_here(row):
                self._leads_to[row.inode] = row.remote[1]
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


def _stays_here(row: sockets.Row) -> bool:
    """Whether both ends are on this machine: the peer is loopback, or the very address it came from."""
    return row.remote[0] == row.local[0] or row.remote[0] == "::1" or row.remote[0].startswith("127.")
