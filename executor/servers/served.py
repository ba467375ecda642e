"""Whether an address leads to the very process that was meant, or to nobody. Standard library only."""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING

from executor.errors import UnavailableError
from executor.kernel import process, sockets
from executor.servers.address import is_here

if TYPE_CHECKING:
    from executor.drivers.targets import ProcessTarget


class NobodyError(UnavailableError):
    """Nobody takes connections there: whoever did is gone, or is not back yet."""


def require(target: ProcessTarget, host: str, port: int, *, where: str) -> None:
    """Raise ``UnavailableError``, naming ``where``, unless the target's process listens at that host and port."""
    own = sockets.held(target.pid)
    heard = {_plain(address) for inode, address in sockets.listeners(port).items() if inode in own}
    process.require(target.pid, target.start_ticks)
    if not heard & {_plain(address) for address in _addresses(host)} and not any(each.is_unspecified for each in heard):
        why = f"does not lead to process {target.pid}; nothing is done there."
        raise UnavailableError(why, where=where, hint="Correct it in system.yaml.")
    if not all(_plain(address).is_loopback or is_here(address) for address in _addresses(host)):
        raise UnavailableError("leads to another machine; nothing is done there.", where=where)


def _addresses(host: str) -> list[str]:
    try:
        return [str(found[4][0]) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
    except OSError:
        return []


def _plain(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    found = ipaddress.ip_address(address.partition("%")[0])
    return getattr(found, "ipv4_mapped", None) or found
