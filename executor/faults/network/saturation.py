"""network.saturation: a helper fills the way to the listener with datagrams, at a bounded rate."""

from __future__ import annotations

import ipaddress
import json
import socket
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from executor.drivers.driver import Networked, able
from executor.drivers.targets import Resolved, ResolvedInstance
from executor.errors import UnavailableError
from executor.faults import held
from executor.faults.behaviour import Context, LeaseKind, Record
from executor.kernel import child, netns
from executor.kernel.reach import ANY, family

if TYPE_CHECKING:
    from executor.model.faults.network import Saturation as Spec

HEADER_BYTES: Final = 28
"""Of IPv4 and UDP."""
_TICK_S: Final = 0.01
_BEHIND_S: Final = 0.05
"""What could not be sent in time beyond this is left out, so that nothing is sent faster afterwards."""
_LONGEST_S: Final = 3600.0
"""Whatever the lease says."""


class Saturation(held.Held):
    """To the listener's own port and address; who reads there is told of nothing, for a stream is not datagrams.

    Where another process takes datagrams at that port none are sent.
    """

    kind = "network.saturation"
    lease: LeaseKind = "parent_death"
    needs = Networked

    def unsupported(self, fault: Spec, target: Resolved) -> str | None:  # noqa: ARG002 - any rate will do
        """It must be known where it listens, and there must be a way to it from here."""
        try:
            _where(target)
        except UnavailableError as error:
            return str(error)
        return None

    def prepare(self, fault: Spec, target: Resolved, context: Context) -> dict[str, Any]:
        """Record where to send, and how much. Raises ``UnavailableError`` as ``unsupported`` says."""
        address, port = _where(target)
        rate = {"bytes_per_s": fault.rate_mbps * 125_000, "size": fault.packet_bytes - HEADER_BYTES}
        return {"address": address, "port": port, **rate, **held.record(context)}

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:
        """Start the helper."""
        names = ("address", "port", "bytes_per_s", "size")
        arguments = [str(record[name]) for name in names]
        held.start("executor.faults.network.saturation", arguments, record, lease_s)
        return {}


def _where(target: Resolved) -> tuple[str, int]:
    """An address and the port at which the listener is reached from here. Raises ``UnavailableError``."""
    assert isinstance(target, ResolvedInstance)
    place = able(target, Networked).listening(target)
    addresses = place["addresses"] or (_addresses(place["net"]) if place["net"] else ["127.0.0.1"])
    strange = set(place["datagrams"])
    free = [a for a in addresses if strange.isdisjoint({a, "::", ANY[family(a)]})]  # "::" may take IPv4 too
    if not free:
        raise UnavailableError(
            f"another process takes datagrams at port {place['port']}, and would get those that fill the way.",
            where=target.instance,
            hint="Choose another fault.",
        )
    if place["net"]:
        free = [address for address in free if not ipaddress.ip_address(address).is_loopback]
    for address in sorted(free, key=lambda a: (":" in a, a)):
        with suppress(OSError), _line(address) as line:
            line.connect((address, place["port"]))  # sends nothing: it asks for a way
            return address, place["port"]
    raise UnavailableError("no address of it can be reached from here.", where=target.instance)


def _addresses(net: int) -> list[str]:
    """The addresses of a network namespace beside loopback."""
    said = netns.run(net, ["ip", "-json", "addr", "show", "scope", "global"]).stdout
    return [one["local"] for link in json.loads(said or b"[]") for one in link.get("addr_info", ()) if "local" in one]


def _line(address: str) -> socket.socket:
    return socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)


def main() -> None:
    """The helper: send so many bytes a second, headers included."""
    lease, (address, port, bytes_per_s, size) = child.lease(sys.argv[1:])
    packet = bytes(int(size))
    every_s = (len(packet) + HEADER_BYTES) / float(bytes_per_s)
    with _line(address) as line:
        child.ready()
        due = begun = time.monotonic()
        while lease.wait(_TICK_S) and (now := time.monotonic()) < begun + _LONGEST_S:
            due = max(due, now - _BEHIND_S)
            while due < now:
                with suppress(OSError):  # the way is full, or gone for a moment
                    line.sendto(packet, (address, int(port)))
                due += every_s


if __name__ == "__main__":
    main()
