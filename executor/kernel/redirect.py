"""Leading new connections to some ports through a helper's listener, by nftables, for as long as that is renewed.

When nobody renews, new connections go straight again. Standard library only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from executor.kernel import nft
from executor.kernel.nft import Chain, Table
from executor.kernel.reach import ANY, Reach

SOCKET_MARK: Final = 0x4D
"""Mark on the helper's own sockets, which no table of ours redirects."""
LEAD: Final = "lead"
"""The chain in which they are led away."""


@dataclass(frozen=True)
class Way:
    """Connections that are led away: the callee's port and addresses, and the users whose processes call it."""

    port: int
    addresses: tuple[str, ...]
    """Numeric; one of ``reach.ANY``: any address of this machine in that family; empty: any at all."""
    users: tuple[int, ...]
    """Ids of the users that own the callers' sockets; empty: any."""
    but: tuple[str, ...] = ()
    """Addresses of this machine at which somebody else has the port."""

    @property
    def reach(self) -> Reach:
        """Where the callee is reached."""
        return Reach(list(self.addresses or ANY.values()), list(self.but))


def unavailable() -> str | None:
    """Why nothing can be redirected here, in one sentence with what to do about it; ``None`` if it can."""
    why = nft.unusable() or Table(nft.name_of("probe")).refused([_chain([Way(9, (), ())], 9)], [9])
    return f"{why}, or put murphy proxy on the edge." if why else None


def taken(ports: Iterable[int], *, besides: str, net: int | None = None) -> str | None:
    """The table of another fault that redirects one of these ports now: only the first of two would be felt."""
    wanted = set(ports)
    others = (table for table in nft.tables(net) if table.name != besides and LEAD in table.chains())
    return next((table.name for table in others if wanted & set(table.live())), None)


def lead(table: Table, ways: Sequence[Way], to_port: int, lease_s: float) -> None:
    """Lead new connections to ``to_port`` for ``lease_s`` seconds. Raises ``UnavailableError``: all or none."""
    table.put([_chain(ways, to_port)], {way.port for way in ways}, lease_s)


def _chain(ways: Sequence[Way], to_port: int) -> Chain:
    rules = [f"meta mark {SOCKET_MARK} return"]
    for way in ways:
        users = f" meta skuid {{ {', '.join(map(str, way.users))} }}" if way.users else ""
        # Without the look at the flags, connection tracking that has just been switched on would take a packet from
        # the middle of anybody's connection for a new one, and lead it astray.
        what = f"tcp flags & (fin | syn | rst | ack) == syn tcp dport {way.port} tcp dport {nft.LIVE}{users}"
        rules += [f"{where} {what} redirect to :{to_port}" for where in way.reach.matches("d", "fib daddr type local")]
    return Chain(LEAD, "type nat hook output priority -150", tuple(rules))
