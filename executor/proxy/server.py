"""The managed proxy: listeners on its edges, and the commands that put faults on them while they are renewed."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from functools import partial
from typing import Any

from executor.errors import UnavailableError
from executor.proxy.config import EdgeConfig
from executor.proxy.edge import Edge
from executor.proxy.faults import Fault, Spec
from executor.proxy.wire import Wire

log = logging.getLogger(__name__)

LONGEST_LEASE_S = 600.0
_MARKS_KEPT = 10_000


class Proxy:
    """All edges of one proxy process. Each command takes its fields as keywords and returns its answer's fields.

    A command raises ``ValueError`` with one sentence for what it cannot do; nothing has changed then.
    """

    def __init__(self, edges: tuple[EdgeConfig, ...], tasks: asyncio.TaskGroup) -> None:
        self._configs = edges
        self._edges = {config.edge: Edge(config.edge, config.protocol, tasks) for config in edges}
        self._leases: dict[tuple[str, str], asyncio.TimerHandle] = {}
        self._over: OrderedDict[str, None] = OrderedDict()
        self._servers: list[asyncio.Server] = []

    async def listen(self) -> None:
        """Begin to accept on every edge. Raises ``UnavailableError`` if an address is taken; nothing listens then."""
        loop = asyncio.get_running_loop()
        for config in self._configs:
            factory = partial(Wire, partial(self._accepted, config))
            try:
                self._servers.append(await loop.create_server(factory, *config.listen, backlog=1024))
            except OSError as error:
                self.stop()
                raise UnavailableError(
                    f"{config.listen[0]}:{config.listen[1]} cannot be listened on ({error.strerror}).",
                    where=f"edge {config.edge}",
                    hint="Choose a free port, or end what listens there.",
                ) from None

    def _accepted(self, config: EdgeConfig, client: Wire) -> None:
        self._edges[config.edge].accept(client, partial(_reach, config.upstream))

    def stop(self) -> None:
        """Accept no more, drop every fault and cut what is left."""
        for server in self._servers:
            server.close()
        for handle in self._leases.values():
            handle.cancel()
        for edge in self._edges.values():
            edge.cut()

    def edges(self) -> dict[str, Any]:
        """What is served: each edge's protocol and address of the callee."""
        served = {
            c.edge: {"protocol": c.protocol, "upstream": f"{c.upstream[0]}:{c.upstream[1]}"} for c in self._configs
        }
        return {"edges": served}

    def put(self, *, edge: str, mark: str, lease_s: float, fault: Any) -> dict[str, Any]:
        """Put a fault on an edge for ``lease_s`` seconds. A mark that was dropped or lapsed is not taken again."""
        on = self._edge(edge)
        spec = Spec.parse(fault, on.protocol)
        if mark in self._over:
            raise ValueError(f"mark {mark} is over: it was dropped or its lease lapsed")
        on.put(Fault(mark, spec, edge))
        self._lease(edge, mark, lease_s)
        log.info("%s: %s under mark %s", edge, spec.kind, mark)
        return {}

    def renew(self, *, mark: str, lease_s: float) -> dict[str, Any]:
        """Let the mark's faults live ``lease_s`` seconds from now; says on which edges."""
        edges = [edge for edge, leased in self._leases if leased == mark]
        for edge in edges:
            self._lease(edge, mark, lease_s)
        return {"edges": edges}

    def drop(self, *, mark: str) -> dict[str, Any]:
        """Take the mark's faults away, now and for good; says from which edges."""
        edges = [edge for edge, leased in self._leases if leased == mark]
        for edge in edges:
            self._end(edge, mark, "dropped")
        self._bury(mark)
        return {"edges": edges}

    def active(self, *, mark: str) -> dict[str, Any]:
        """On which edges the mark's fault is in force."""
        return {"edges": [edge for edge, leased in self._leases if leased == mark]}

    def counters(self, *, edge: str) -> dict[str, Any]:
        """Calls and connections that arrived on an edge so far, and how many a fault has struck."""
        on = self._edge(edge)
        return {"calls": on.calls, "connections": on.connections, "faulted": on.faulted}

    def tally(self, *, mark: str) -> dict[str, Any]:
        """On each edge where the mark's fault is in force, how often it was to strike so far and how often it did."""
        edges = [self._edges[edge] for edge, leased in self._leases if leased == mark]
        return {"edges": {edge.name: tally for edge in edges for tally in edge.tally(mark)}}

    def _edge(self, name: str) -> Edge:
        try:
            return self._edges[name]
        except KeyError:
            raise ValueError(f"no edge is named {name}; there are {', '.join(self._edges)}") from None

    def _lease(self, edge: str, mark: str, lease_s: float) -> None:
        key = (edge, mark)
        if key in self._leases:
            self._leases[key].cancel()
        self._leases[key] = asyncio.get_running_loop().call_later(lease_s, self._end, edge, mark, "not renewed")

    def _end(self, edge: str, mark: str, why: str) -> None:
        self._leases.pop((edge, mark)).cancel()
        self._edges[edge].drop(mark)
        self._bury(mark)
        log.info("%s: mark %s %s", edge, mark, why)

    def _bury(self, mark: str) -> None:
        """Remember that the mark is over, so that a ``put`` that comes too late changes nothing."""
        self._over[mark] = None
        if len(self._over) > _MARKS_KEPT:
            self._over.popitem(last=False)


async def _reach(address: tuple[str, int]) -> Wire:
    _, wire = await asyncio.get_running_loop().create_connection(Wire, *address)
    return wire
