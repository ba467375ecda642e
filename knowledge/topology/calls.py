"""From calls seen or foretold to dependencies, with Murphy's own proxies taken out of the way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from executor.model.system import Dependency, Interception, KernelRedirect, ManagedProxy
from knowledge.topology.proxies import ProxiedEdge
from knowledge.topology.services import Group
from knowledge.topology.technology import Protocol


@dataclass(frozen=True)
class Call:
    """A process reaches, or was told to reach, a local port."""

    pid: int
    port: int
    origin: str
    """How it is known: ``socket``, ``environment NAME``, ``command line argument``."""
    protocol: Protocol | None = None


@dataclass
class _Edge:
    ports: set[int] = field(default_factory=set)
    seen_ports: set[int] = field(default_factory=set)
    protocols: set[Protocol] = field(default_factory=set)
    ways: list[ProxiedEdge] = field(default_factory=list)
    lasting: set[str] = field(default_factory=set)
    """Origins that are there at every look."""
    sockets: set[str] = field(default_factory=set)
    """Origins that were seen by luck."""


def dependencies(
    groups: Iterable[Group], calls: Iterable[Call], proxies: Mapping[int, ProxiedEdge], *, can_redirect: bool
) -> tuple[Dependency, ...]:
    """One dependency for each pair of services, in the order of names.

    An edge through a managed proxy runs straight from caller to callee. So that the same system gives the same digest
    when it is looked at again, ephemeral ports are left out of the sources, and so are sockets where something lasting
    tells of the edge too: whether a socket is seen is a matter of luck.
    """
    by_name = {found.name: found for found in groups}
    by_pid = {pid: found for found in by_name.values() for pid in found.pids}
    by_port = {port: found for found in by_name.values() for port in found.ports}
    edges: dict[tuple[str, str], _Edge] = {}

    def note(caller: Group | None, port: int, origin: str, protocol: Protocol | None) -> None:
        way = proxies.get(port)
        callee = by_port.get(way.upstream if way else port)
        if caller is None or callee is None or caller is callee:
            return
        edge = edges.setdefault((caller.name, callee.name), _Edge())
        if way is not None and way not in edge.ways:
            edge.ways.append(way)
        edge.protocols |= {known for known in (protocol, way and way.protocol) if known and known != "tcp"}
        through = " through managed proxy" if way else ""
        if origin == "socket":
            edge.sockets.add(f"socket {caller.name} -> 127.0.0.1:{port}{through}")
            edge.seen_ports.add(way.upstream if way else port)
        else:
            edge.lasting.add(f"{origin}{through}")
            edge.ports.add(way.upstream if way else port)

    for call in calls:
        note(by_pid.get(call.pid), call.port, call.origin, call.protocol)
    for port, way in proxies.items():
        note(by_name.get(way.edge.split("->")[0]), port, "configuration", None)
    return tuple(
        Dependency(
            caller=caller,
            callee=callee,
            protocol=_protocol(edge, by_name[callee]),
            port=min(edge.ports or edge.seen_ports),
            interception=_interception(edge, can_redirect),
            source=tuple(line[:400] for line in sorted(edge.lasting or edge.sockets)),
        )
        for (caller, callee), edge in sorted(edges.items())
    )


def _protocol(edge: _Edge, callee: Group) -> Protocol:
    if callee.technology.protocol != "tcp":
        return callee.technology.protocol
    return min(edge.protocols, default="tcp")


def _interception(edge: _Edge, can_redirect: bool) -> Interception | None:
    if edge.ways:
        way = min(edge.ways, key=lambda found: found.listen)
        return ManagedProxy(control=way.control, edge=way.edge)
    return KernelRedirect() if can_redirect else None
