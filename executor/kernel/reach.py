"""At which addresses a listener is reached, and nobody else who has the same port. Standard library only."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, NamedTuple

from executor.kernel import process, sockets

ANY: Final = {"ip": "0.0.0.0", "ip6": "::"}  # noqa: S104 - nothing is bound here
"""What a listener at every address of a family is bound to; by nftables' names of the families."""
PROTOCOLS: Final = ("tcp", "udp")


class Reach(NamedTuple):
    """Addresses of a listener, for one protocol and port. A record holds it as a list of two."""

    at: list[str]
    """Numeric; one of ``ANY``: every address of that family."""
    but: list[str]
    """At these of them others listen, who are bound more exactly and so get what is sent there."""

    def has(self, address: str) -> bool:
        """Whether what is sent to that address is the listener's."""
        return address in self.at or (ANY[family(address)] in self.at and address not in self.but)

    def matches(self, side: str, anywhere: str = "") -> list[str]:
        """The words of nftables for it, a rule's each: ``side`` is ``d`` (packets to it) or ``s`` (from it).

        ``anywhere`` are words besides where every address is meant.
        """
        found = []
        for kind, everywhere in ANY.items():
            at, but = ([one for one in some if family(one) == kind] for some in self)
            if everywhere in at:
                words = ["meta nfproto", "ipv4" if kind == "ip" else "ipv6", anywhere]
                words += [f"{kind} {side}addr != {{ {', '.join(but)} }}"] if but else []
                found.append(" ".join(filter(None, words)))
            elif at:
                found.append(f"{kind} {side}addr {{ {', '.join(at)} }}")
        return found


def family(address: str) -> str:
    """What nftables calls the family of an address."""
    return "ip6" if ":" in address else "ip"


def of(port: int, protocol: str, ours: Collection[str], pid: int | None = None) -> Reach:
    """Where the sockets ``ours`` (inodes) are reached on a port, in a process's network or in ours."""
    there, others = _bound(port, protocol, ours, pid)
    # Such a socket takes what comes by IPv4 too, unless it was told not to, or somebody is there for that.
    if ANY["ip6"] in there and ANY["ip"] not in others:
        there.add(ANY["ip"])
    return Reach(sorted(there), sorted(others - there - set(ANY.values())))


def strangers(port: int, protocol: str, ours: Collection[str], pid: int | None = None) -> set[str]:
    """Addresses at which sockets beside ``ours`` are bound to the port."""
    return _bound(port, protocol, ours, pid)[1]


def shared(port: int, protocol: str, ours: Collection[str], pid: int | None = None) -> str | None:
    """An address to which others are bound exactly as ``ours`` are, with whose it is: the kernel deals out between."""
    there, others = _bound(port, protocol, ours, pid)
    if not (both := sorted(there & others)):
        return None
    theirs = {inode for inode, at in sockets.bound(port, protocol, pid).items() if inode not in ours and at in both}
    who = next((f" by process {other}" for other in process.pids() if sockets.held(other) & theirs), "")
    return f"{protocol} {both[0]} port {port}{who}"


def _bound(port: int, protocol: str, ours: Collection[str], pid: int | None) -> tuple[set[str], set[str]]:
    there: set[str] = set()
    others: set[str] = set()
    for inode, address in sockets.bound(port, protocol, pid).items():
        (there if inode in ours else others).add(address)
    return there, others
