"""How an edge can be reached by the fault proxy, and why not where it cannot. Standard library only at import."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from executor.drivers.targets import ProcessTarget
from executor.errors import UnavailableError
from executor.kernel import locate, process, reach, redirect, sockets
from executor.kernel.reach import Reach
from executor.proxy import edges as proxies

if TYPE_CHECKING:
    from executor.model.system import Dependency, Instance, System


def unreachable(edge: Dependency, callers: tuple[ProcessTarget, ...], wanted: dict[str, Any]) -> str | None:
    """Why the proxy's fault ``wanted`` cannot be put on this edge, with what to do about it; ``None`` if it can."""
    if edge.interception is None:
        return (
            f"nothing can intercept {edge.place}; put murphy proxy on the edge, or, as root with nftables,"
            " write interception: {kind: kernel_redirect} for it in system.yaml."
        )
    if edge.interception.kind == "managed_proxy":
        return _unmanaged(edge, edge.interception.control, edge.interception.edge, wanted)
    if edge.port is None:
        return f"the port of {edge.callee} is not known; name it in system.yaml, or put murphy proxy on {edge.place}."
    if not callers:
        return f"no process of {edge.caller} runs here, so its connections cannot be told apart; start one."
    if not all(_same_network(caller.pid) for caller in callers):
        return f"{edge.caller} has a network of its own (a container); put murphy proxy on {edge.place}."
    return redirect.unavailable() or _misfit(edge, _understood(edge), wanted) or _unresolved(edge)


def _unmanaged(edge: Dependency, control: str, name: str, wanted: dict[str, Any]) -> str | None:
    try:
        served = proxies.served(control)
    except UnavailableError as error:
        return f"{edge.place}: {error}"
    if name not in served:
        return f"the proxy at {control} has no edge {name}; add it to the proxy's configuration."
    speaks = served[name]["protocol"]
    if edge.protocol == "grpc" and speaks == "http":  # such an edge passes HTTP/2 unread
        speaks = "tcp"
    return _misfit(edge, speaks, wanted)


def _understood(edge: Dependency) -> str:
    """What the proxy is to read there."""
    return edge.protocol if edge.protocol in ("http", "grpc") else "tcp"


def _misfit(edge: Dependency, protocol: str, wanted: dict[str, Any]) -> str | None:
    from executor.proxy.faults import Spec

    try:
        Spec.parse(wanted, protocol)
    except ValueError as error:
        instead = "choose network.latency, network.reset or another edge"
        if edge.protocol == "grpc" != protocol:
            instead = "let the proxy's configuration say that this edge's protocol is grpc"
        return f"{edge.place}: {error}; {instead}."
    return None


def _same_network(pid: int) -> bool:
    try:
        return os.stat(f"/proc/{pid}/ns/net").st_ino == os.stat("/proc/self/ns/net").st_ino  # noqa: PTH116
    except OSError:
        return False


def ways(edge: Dependency, callers: tuple[ProcessTarget, ...], system: System) -> list[dict[str, Any]]:
    """What the helper must know about an edge reached by redirect: one way for each port where the callee answers.

    Raises ``UnavailableError`` for a host that has no address.
    """
    addresses = _addresses(edge)
    here = any(address.startswith("127.") or address == "::1" for address in addresses)
    instances = system.service(edge.callee).instances if here else ()  # a balancer calls each of them
    ports = sorted({port for port in (edge.port, *(i.port for i in instances)) if port is not None})
    reached = {port: _reach(port, addresses, instances) if here else Reach(addresses, []) for port in ports}
    return [
        {
            "edge": edge.place,
            "protocol": _understood(edge),
            "port": port,
            "addresses": reached[port].at,
            "but": reached[port].but,
            "users": sorted({user for caller in callers for user in users(caller)}),
            "instances": [instance(caller) for caller in callers],
        }
        for port in ports
    ]


def _unresolved(edge: Dependency) -> str | None:
    try:
        _addresses(edge)
    except UnavailableError as error:
        return str(error)
    return None


def _addresses(edge: Dependency) -> list[str]:
    try:
        found = socket.getaddrinfo(edge.host, edge.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise UnavailableError(
            f"{edge.host} has no address ({error.strerror}).",
            where=edge.place,
            hint="Name the host in system.yaml as the caller does.",
        ) from None
    return sorted({str(each[4][0]) for each in found})


def _reach(port: int, addresses: list[str], instances: tuple[Instance, ...]) -> Reach:
    """Where on this machine the callee answers, so that whoever else has the port is spared.

    Where its processes are; where those are not seen (a container's forwarded port, say), at what answers there.
    """
    listeners = sockets.listeners(port)
    theirs: set[str] = set().union(*map(_sockets, instances)) & listeners.keys()
    if not theirs:
        heard = set(listeners.values())
        for address in addresses:
            at = next((at for at in (address, reach.ANY[reach.family(address)], "::") if at in heard), None)
            theirs |= {inode for inode, bound in listeners.items() if bound == at}
    return reach.of(port, "tcp", theirs) if theirs else Reach(addresses, [])


def _sockets(instance: Instance) -> frozenset[str]:
    """Those that a process of this machine holds, with its workers."""
    if instance.driver != "process":
        return frozenset()
    try:
        head = locate.find(instance)  # type: ignore[arg-type]  # the driver says so
        return frozenset().union(*(sockets.held(pid) for pid, _ in process.members(head.pid, head.start_ticks)))
    except UnavailableError:
        return frozenset()


def users(caller: ProcessTarget) -> set[int]:
    """Users that own the sockets of a process and its workers."""
    found: set[int] = set()
    for pid, _ in process.members(caller.pid, caller.start_ticks):
        with suppress(OSError):  # it has ended
            # The directory's owner would be root for one that has dropped its privileges.
            found.add(int(process.status(pid)["Uid"].split()[3]))
    return found


def instance(caller: ProcessTarget) -> dict[str, Any]:
    """What a helper must know to find a caller again."""
    return {
        "id": caller.instance,
        "pid": caller.pid,
        "ticks": caller.start_ticks,
        "port": caller.port,
        "command": caller.command,
    }
