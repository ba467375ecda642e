"""The kernel's network emulator on the packets of a port alone, by tc, in the network namespace of what is struck.

On each device a queue of four bands takes the place of the default one; filters send a listener's packets into the
fourth, where netem is, and all others through as before. Ours are told by their handles, and removed by them; who has
made one is in a file in ``/run``. Nothing ends them but that: the watchdog holds the lease. Standard library only.
"""

from __future__ import annotations

import ipaddress
import json
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from executor.clock import own_ticks
from executor.errors import UnavailableError
from executor.kernel import holding, netns, privilege
from executor.kernel.holding import Hold
from executor.kernel.reach import ANY, Reach, family

_OURS, _INNER = 0x4D00, 0x4E00
"""The first of 256 handles: of the queue with bands, and of netem in it."""
_AS_EVER: Final = "priomap 1 2 2 2 1 2 0 0 1 1 1 1 1 1 1 1"
"""Bands by type of service as the kernel's default has them. Source: tc-prio(8)."""
_NUMBERS: Final = {"tcp": 6, "udp": 17}
_LOOPBACK: Final = "127.0.0.0/8"

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_SIGNS: Final = Path("/run")
"""It is emptied at boot, when no queue is left either."""


def handle_of(mark: str) -> str:
    """The handle of a fault's queue."""
    return f"{_OURS + zlib.crc32(mark.encode()) % 256:x}:"


def unusable() -> str | None:
    """What is lacking here, in one sentence with what to do about it; ``None`` if nothing is.

    Tried in a network namespace that ends with the trial.
    """
    if netns.program("tc") is None or netns.program("unshare") is None:
        return "tc is not installed; install iproute2."
    if reason := privilege.lacking("queues of a network", "CAP_NET_ADMIN", "CAP_SYS_ADMIN"):
        return reason
    script = _script(
        "lo", handle_of("probe"), {"port": 9, "ends": [["tcp", "127.0.0.9/32"], ["udp", "::1/128"]]}, "delay 1ms"
    )
    done = netns.run(None, ["unshare", "--net", netns.program("tc") or "tc", "-batch", "-"], script)
    if done.returncode == 0:
        return None
    said = done.stderr.decode("utf-8", "replace").strip().splitlines()
    return (
        f"this kernel has not all of sch_netem, sch_prio and cls_u32 (tc says: {said[0] if said else 'nothing'});"
        " load these modules, or run Murphy on a machine that has them."
    )


def reach(place: Mapping[str, Any]) -> dict[str, Any]:
    """The ``devices`` over which a listener's packets leave, and its ``ends``: a protocol and a network each.

    Loopback for what is sent to and from it on its own machine; the others for what it sends to other machines. What is
    only forwarded bears none of its addresses. Raises ``UnavailableError`` if somebody else's queue is on a device.
    """
    wanted = set(place["addresses"])
    devices, addresses = [], set()
    for link in filter(None, _asked(place["net"], "ip", "-json", "addr", "show", "up")):
        own = {one["local"] for one in link.get("addr_info", ()) if "local" in one}
        addresses |= own
        # What a machine sends to an address of its own goes by loopback, whatever device has the address.
        if not wanted or wanted & own or link["ifname"] == "lo":
            devices.append(str(link["ifname"]))
    for queue in _roots(place["net"]):
        if queue["dev"] in devices and queue.get("handle", "0:") != "0:":
            raise UnavailableError(
                f"device {queue['dev']} has a queue that somebody has set up ({queue['kind']} {queue['handle']}).",
                hint="Remove it, or choose another fault.",
            )
    reached = [(protocol, Reach(*each)) for protocol, each in sorted(place["reach"].items())]
    ends = [[protocol, network] for protocol, one in reached for network in _networks(one, addresses)]
    return {"devices": devices, "ends": ends}


def _networks(reached: Reach, addresses: set[str]) -> list[str]:
    """Those in which a listener is reached, of a machine with these addresses."""
    found = [ipaddress.ip_network(one) for one in sorted(set(reached.at) - set(ANY.values()))]
    for kind, everywhere in ANY.items():
        if everywhere in reached.at:
            found += [ipaddress.ip_network(one) for one in sorted(addresses) if family(one) == kind]
            found += [ipaddress.ip_network(_LOOPBACK)] if kind == "ip" else []
    for other in map(ipaddress.ip_network, reached.but):
        found = [part for one in found for part in _without(one, other)]
    return list(dict.fromkeys(map(str, found)))


def _without(network: Network, other: Network) -> list[Network]:
    if network.version != other.version or not other.subnet_of(network):  # type: ignore[arg-type]
        return [network]
    return list(network.address_exclude(other))  # type: ignore[arg-type]


def put(record: Mapping[str, Any]) -> None:
    """Strike the packets. Raises ``UnavailableError`` if the kernel will not; some devices may be struck by then."""
    with suppress(OSError):  # a sweep leaves it alone then, and names it
        _sign(record["net"], record["handle"]).write_text(f"{os.getpid()} {own_ticks()}\n", encoding="ascii")
    for device in record["devices"]:
        script = _script(device, record["handle"], record, record["emulation"])
        done = netns.run(record["net"], ["tc", "-batch", "-"], script)
        if done.returncode:
            raise UnavailableError(f"tc says: {done.stderr.decode('utf-8', 'replace').strip()[:300]}.", where=device)


def standing(net: int | None, handle: str) -> list[str]:
    """The devices on which the queue of that handle is. Raises ``UnavailableError`` if the kernel cannot be asked."""
    return [queue["dev"] for queue in _roots(net) if queue.get("handle") == handle]


def remove(net: int | None, handle: str) -> None:
    """Take the queue away wherever it is; the default one is back then. Idempotent, also when the network is gone."""
    try:
        for device in standing(net, handle):
            done = netns.run(net, ["tc", "qdisc", "del", "dev", device, "root", "handle", handle])
            if done.returncode and device in standing(net, handle):
                raise UnavailableError(f"tc says: {done.stderr.decode('utf-8', 'replace').strip()[:300]}.")
    except netns.NamespaceGoneError:
        pass
    with suppress(OSError):
        _sign(net, handle).unlink(missing_ok=True)


def hold(net: int | None, handle: str, left_s: float | None = None) -> Hold | None:
    """Who holds a queue of ours; ``left_s`` as with ``holding.hold``. ``None``: nothing says who has made it."""
    try:
        pid, ticks = map(int, _sign(net, handle).read_text(encoding="ascii").split())
    except (OSError, ValueError):
        return None
    return holding.hold(pid, ticks, left_s)


def _sign(net: int | None, handle: str) -> Path:
    """The file that says who has made a queue."""
    return _SIGNS / f"murphy-{net or netns.own()}-{handle.removesuffix(':')}.queue"


def left(net: int | None) -> set[str]:
    """Handles of the queues of ours in a network namespace, of any home."""
    queues = _asked(net, "tc", "-json", "qdisc", "show")
    inner = {(q["dev"], q.get("parent")) for q in queues if q["kind"] == "netem"}
    ours = {f"{_OURS + n:x}:" for n in range(256)}
    return {q["handle"] for q in queues if q.get("handle") in ours and (q["dev"], f"{q['handle']}4") in inner}


def _script(device: str, handle: str, place: Mapping[str, Any], emulation: str) -> str:
    inner = f"{int(handle[:-1], 16) - _OURS + _INNER:x}:"
    lines = [
        f"qdisc add dev {device} root handle {handle} prio bands 4 {_AS_EVER}",
        f"qdisc add dev {device} parent {handle}4 handle {inner} netem limit 10000 {emulation}",
    ]
    matches = _matches(place["port"], place["ends"])
    lines += [f"filter add dev {device} parent {handle} {match} flowid {handle}4" for match in matches]
    return "\n".join(lines) + "\n"


def _matches(port: int, ends: Sequence[Sequence[str]]) -> Iterator[str]:
    """Filters for packets to and from the listener. Those of one family must have a rank of their own."""
    for name, network in ends:
        kind, protocol, rank = ("ip6", "ipv6", 2) if ":" in network else ("ip", "ip", 1)
        for end, side in (("dst", "dport"), ("src", "sport")):
            yield (
                f"protocol {protocol} prio {rank} u32 match {kind} {end} {network}"
                f" match {kind} protocol {_NUMBERS[name]} 0xff match {kind} {side} {port} 0xffff"
            )


def _roots(net: int | None) -> list[dict[str, Any]]:
    return [queue for queue in _asked(net, "tc", "-json", "qdisc", "show") if queue.get("root")]


def _asked(net: int | None, *command: str) -> list[dict[str, Any]]:
    done = netns.run(net, command)
    if done.returncode:
        raise UnavailableError(f"{command[0]} says: {done.stderr.decode('utf-8', 'replace').strip()[:300]}.")
    found: list[dict[str, Any]] = json.loads(done.stdout or b"[]")
    return found
