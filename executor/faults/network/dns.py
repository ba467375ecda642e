"""network.dns: look-ups of the process are answered wrongly, late or not at all."""

from __future__ import annotations

import json
import zlib
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from executor.drivers.targets import ProcessTarget, Resolved
from executor.errors import FaultGoneError, UnavailableError
from executor.faults import held
from executor.faults.behaviour import Context, LeaseKind, Record
from executor.faults.interception import instance, users
from executor.kernel import netns, nft, redirect
from executor.kernel.nft import Chain, Table

if TYPE_CHECKING:
    from executor.model.faults.network import Dns as Spec

PORT = 53


class Dns:
    """A helper between the process and the servers that it asks, to which the kernel leads its user's look-ups.

    It tells by the socket whose a look-up is: those of others, and of names that are not meant, it passes on.
    """

    kind = "network.dns"
    lease: LeaseKind = "kernel"
    unclaimed = True

    def lacking(self) -> str | None:
        """What nftables need."""
        return f"{why}." if (why := nft.unusable()) else None

    def unsupported(self, fault: Spec, target: Resolved) -> str | None:
        """The servers that it asks must be known, and the kernel must take the rules."""
        assert isinstance(target, ProcessTarget)
        try:
            record = self._look(fault, target)
        except UnavailableError as error:
            return f"{target.instance}: {error}"
        ports = dict.fromkeys(record["resolvers"], PORT)
        refused = Table(nft.name_of("probe"), record["net"]).refused(chains(record, ports), [PORT])
        return f"this kernel does not take the rules ({refused}); choose another fault." if refused else None

    def prepare(self, fault: Spec, target: Resolved, context: Context) -> dict[str, Any]:
        """Record whose look-ups are meant, and where they go. Raises ``UnavailableError`` as ``unsupported`` says."""
        assert isinstance(target, ProcessTarget)
        zone = 1 + zlib.crc32(context.mark.encode()) % 0xFFFF
        record = {**self._look(fault, target), "table": nft.name_of(context.mark), "zone": zone}
        return {**record, **held.record(context)}

    def _look(self, fault: Spec, target: ProcessTarget) -> dict[str, Any]:
        net = netns.of(target.pid, target.start_ticks)
        resolvers = list(fault.resolvers) or _resolvers(target.pid)
        if not resolvers:
            raise UnavailableError("its /etc/resolv.conf names no server.", hint="Name them in resolvers.")
        return {
            "pid": target.pid,
            "ticks": target.start_ticks,
            "net": net,
            "users": sorted(users(target)),
            "instance": instance(target),
            "resolvers": resolvers,
            "fault": fault.model_dump(mode="json", exclude={"kind", "resolvers"}),
            "zone": 1,
        }

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:
        """Start the helper. Raises ``UnavailableError`` if the target is gone, or another fault has its look-ups."""
        if netns.of(record["pid"], record["ticks"]) != record["net"]:
            raise UnavailableError(f"process {record['pid']} has moved to another network.")
        if other := redirect.taken([PORT], besides=record["table"], net=record["net"]):
            raise UnavailableError(
                f"another fault ({other}) has the look-ups of this network already.",
                hint="Such faults can only follow each other.",
            )
        names = ("table", "net", "zone", "users", "instance", "resolvers", "fault")
        job = json.dumps({name: record[name] for name in names})
        held.start("executor.proxy.resolver", [job], record, lease_s, ready_s=20.0)
        return {}

    def renew(self, record: Record, lease_s: float) -> None:
        """Push the leases on. Raises ``FaultGoneError`` if the helper has died; nobody is led to its dead end then."""
        if not held.alive(record):
            _table(record).remove()
            raise FaultGoneError("the fault went with the helper that carried it.")
        held.renew(record, lease_s)
        _table(record).renew([PORT], lease_s)

    def active(self, record: Record) -> bool | None:
        """Whether look-ups are led away: asked of the kernel."""
        if held.alive(record):
            return True
        with suppress(UnavailableError):
            return bool(_table(record).live())
        return None

    def revert(self, record: Record) -> str | None:
        """End the helper, and lead nobody to it any more. Returns that it had gone before, if so."""
        gone = held.lost(record)
        held.end(record)
        _table(record).remove()
        return "the helper that carried it" if gone else None


def chains(job: Record, ports: dict[str, int]) -> list[Chain]:
    """Rules that lead the look-ups to the helper's port for each server.

    The kernel remembers where it led a pair of sockets. In a connection tracking zone of the fault's own that is
    forgotten with the fault, so that a caller that goes on using its socket is not led to a port where nobody is.
    """
    zone, led = [], []
    whose = f"meta skuid {{ {', '.join(map(str, job['users']))} }}"
    for resolver, port in ports.items():
        family = "ip6" if ":" in resolver else "ip"
        asked = f"{family} daddr {resolver} udp dport {PORT} udp dport {nft.LIVE} {whose}"
        answered = f"{family} saddr {'::1' if family == 'ip6' else '127.0.0.1'} udp sport {port}"
        zone += [f"{asked} ct zone set {job['zone']}", f"{answered} ct zone set {job['zone']}"]
        led.append(f"{asked} redirect to :{port}")
    own = f"meta mark {redirect.SOCKET_MARK} return"
    return [
        Chain("zone", "type filter hook output priority -300", (own, *zone)),
        Chain(redirect.LEAD, "type nat hook output priority -150", (own, *led)),
    ]


def _resolvers(pid: int) -> list[str]:
    """The servers that its own ``/etc/resolv.conf`` names."""
    try:
        text = Path(f"/proc/{pid}/root/etc/resolv.conf").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    named = [line.split()[1] for line in text.splitlines() if line.startswith("nameserver ") and len(line.split()) > 1]
    return [address for address in named if "%" not in address]  # a link's own address means nothing on another


def _table(record: Record) -> Table:
    return Table(record["table"], record["net"])
