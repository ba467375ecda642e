"""What faults on edges share: each puts one of the fault proxy's faults on the edges of its target.

An edge with a managed proxy is reached through that proxy's control socket; the proxy ends the fault when nobody renews
it. Any other is reached, with root and nftables, by a helper of ours to which the kernel leads the caller's connections
while a time-out in the kernel runs. Standard library only.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from executor.drivers import process, redirect
from executor.errors import UnavailableError
from executor.faults import held
from executor.faults.behaviour import Context, EdgeTargets, LeaseKind, ProcessTarget, Record, Resolved
from executor.proxy import edges as proxies

if TYPE_CHECKING:
    from executor.model.faults.service import HttpMatch
    from executor.model.system import Dependency

log = logging.getLogger(__name__)

_READY_S = 20.0


class EdgeFault:
    """A fault on edges. A kind of fault says what the proxy is to do, and on which of the edges."""

    kind: str
    lease: LeaseKind = "server"

    def wanted(self, fault: Any) -> dict[str, Any]:
        """The fault as the proxy takes it."""
        raise NotImplementedError

    def meant(self, fault: Any, target: EdgeTargets) -> tuple[Dependency, ...]:  # noqa: ARG002 - for those who choose
        """The edges it strikes."""
        return target.edges

    def unsupported(self, fault: Any, target: Resolved) -> str | None:
        """Every edge must be interceptable, and speak what the fault needs."""
        assert isinstance(target, EdgeTargets)
        edges = self.meant(fault, target)
        if not edges:
            return "the system knows no edge in that direction; choose the other, or both."
        reasons = (_unreachable(edge, target.callers.get(edge.caller, ()), self.wanted(fault)) for edge in edges)
        return next(filter(None, reasons), None)

    def prepare(self, fault: Any, target: Resolved, context: Context) -> dict[str, Any]:
        """Record where the fault goes. Raises ``UnavailableError`` if an edge cannot be intercepted."""
        assert isinstance(target, EdgeTargets)
        managed: list[dict[str, str]] = []
        redirected: list[dict[str, Any]] = []
        for edge in self.meant(fault, target):
            if edge.interception is None:
                raise UnavailableError("nothing intercepts this edge.", where=edge.place)
            if edge.interception.kind == "managed_proxy":
                managed.append({"control": edge.interception.control, "edge": edge.interception.edge})
            else:
                redirected.append(_way(edge, target.callers.get(edge.caller, ())))
        return {
            "mark": context.mark,
            "fault": {**self.wanted(fault), "seed": zlib.crc32(context.mark.encode())},
            "managed": managed,
            "redirected": redirected,
            "table": redirect.table_of(context.mark),
            **held.record(context),
        }

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:
        """Put the fault on every edge."""
        for place in record["managed"]:
            proxies.put(place["control"], place["edge"], record["mark"], record["fault"], lease_s)
        if record["redirected"]:
            if other := redirect.taken(_ports(record), besides=record["table"]):
                raise UnavailableError(
                    f"another fault ({other}) redirects the same port already.",
                    hint="Faults on one port by redirect can only follow each other.",
                )
            job = {name: record[name] for name in ("table", "mark", "fault")} | {"edges": record["redirected"]}
            held.start("executor.proxy.transparent", [json.dumps(job)], record, lease_s, ready_s=_READY_S)
        return {}

    def renew(self, record: Record, lease_s: float) -> None:
        """Push the leases on. Where the helper has died, nobody is led to its dead end any more."""
        for control in _controls(record):
            proxies.renew(control, record["mark"], lease_s)
        if record["redirected"]:
            if held.alive(record):
                held.renew(record, lease_s)
                redirect.renew(record["table"], _ports(record), lease_s)
            else:
                redirect.remove(record["table"])

    def active(self, record: Record) -> bool | None:
        """Whether it is in force on any edge: asked of the proxies and of the kernel."""
        answers = [_in_force(control, record["mark"]) for control in _controls(record)]
        if record["redirected"]:
            answers.append(held.alive(record) or _led_away(record["table"]))
        return True if True in answers else None if None in answers else False

    def revert(self, record: Record) -> None:
        """Take it away everywhere. A managed proxy that is gone took the fault with it."""
        failed: list[UnavailableError] = []
        for control in _controls(record):
            try:
                proxies.drop(control, record["mark"])
            except proxies.ProxyGoneError as gone:
                log.warning("%s Its faults went with it.", gone.message)
            except UnavailableError as error:
                failed.append(error)
        if record["redirected"]:
            held.end(record)
            redirect.remove(record["table"])
        if failed:
            raise failed[0]


def matching(fault: HttpMatch) -> dict[str, Any]:
    """The part of a fault that says which requests are meant."""
    return {"probability": fault.probability, "method": fault.method, "path": fault.path}


def _controls(record: Record) -> list[str]:
    return sorted({place["control"] for place in record["managed"]})


def _ports(record: Record) -> set[int]:
    return {way["port"] for way in record["redirected"]}


def _in_force(control: str, mark: str) -> bool | None:
    try:
        return bool(proxies.active(control, mark))
    except proxies.ProxyGoneError:
        return False
    except UnavailableError:
        return None


def _led_away(table: str) -> bool | None:
    try:
        return bool(redirect.live(table))
    except UnavailableError:
        return None


def _unreachable(edge: Dependency, callers: tuple[ProcessTarget, ...], wanted: dict[str, Any]) -> str | None:
    if edge.interception is None:
        return (
            f"nothing can intercept {edge.place}; put murphy proxy on the edge,"
            " or run as root with nftables and discover the system again."
        )
    if edge.interception.kind == "managed_proxy":
        return _unmanaged(edge, edge.interception.control, edge.interception.edge, wanted)
    if edge.port is None:
        return f"the port of {edge.callee} is not known; name it in system.yaml, or put murphy proxy on {edge.place}."
    if not callers:
        return f"no process of {edge.caller} runs, so its connections cannot be told apart; start it."
    if not all(_same_network(caller.pid) for caller in callers):
        return f"{edge.caller} has a network of its own (a container); put murphy proxy on {edge.place}."
    return redirect.unavailable() or _misfit(edge, "http" if edge.protocol == "http" else "tcp", wanted)


def _unmanaged(edge: Dependency, control: str, name: str, wanted: dict[str, Any]) -> str | None:
    try:
        served = proxies.served(control)
    except UnavailableError as error:
        return f"{edge.place}: {error}"
    if name not in served:
        return f"the proxy at {control} has no edge {name}; add it to the proxy's configuration."
    speaks = "tcp" if edge.protocol == "grpc" else served[name]["protocol"]
    return _misfit(edge, speaks, wanted)


def _misfit(edge: Dependency, protocol: str, wanted: dict[str, Any]) -> str | None:
    from executor.proxy.faults import Spec

    try:
        Spec.parse(wanted, protocol)
    except ValueError as error:
        return f"{edge.place}: {error}; choose network.latency, network.reset or an edge that speaks http."
    return None


def _same_network(pid: int) -> bool:
    try:
        return os.stat(f"/proc/{pid}/ns/net").st_ino == os.stat("/proc/self/ns/net").st_ino  # noqa: PTH116
    except OSError:
        return False


def _way(edge: Dependency, callers: tuple[ProcessTarget, ...]) -> dict[str, Any]:
    try:
        addresses = sorted(
            {str(found[4][0]) for found in socket.getaddrinfo(edge.host, edge.port, type=socket.SOCK_STREAM)}
        )
    except OSError as error:
        raise UnavailableError(f"{edge.host} has no address ({error.strerror}).", where=edge.place) from None
    here = any(address.startswith("127.") or address == "::1" for address in addresses)
    return {
        "edge": edge.place,
        "protocol": "http" if edge.protocol == "http" else "tcp",
        "port": edge.port,
        "addresses": [] if here else addresses,
        "users": sorted({user for caller in callers for user in _users(caller)}),
        "instances": [_instance(caller) for caller in callers],
    }


def _users(caller: ProcessTarget) -> set[int]:
    """Users that own the sockets of a process and its workers."""
    found = set()
    for pid, _ in process.members(caller.pid, caller.start_ticks):
        try:
            found.add(Path(f"/proc/{pid}").stat().st_uid)
        except OSError:
            continue
    return found


def _instance(caller: ProcessTarget) -> dict[str, Any]:
    instance = next(i for i in caller.service.instances if i.id == caller.instance)
    return {
        "id": caller.instance,
        "pid": caller.pid,
        "ticks": caller.start_ticks,
        "port": instance.port,
        "command": instance.command,
    }
