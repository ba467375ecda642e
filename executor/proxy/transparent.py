"""The transparent proxy: a helper with a lease, to which nftables leads the callers' connections.

``python -m executor.proxy.transparent HOLDER TICKS DEADLINE JOB``; ``JOB`` is JSON: ``table``, ``mark``, ``fault`` and
``edges``, each with ``edge``, ``protocol``, ``port``, ``addresses`` (and ``but``), ``users`` and ``instances`` of the
caller. Only connections that a caller's own processes made are struck, the others to the same addresses are carried
unchanged. The ones that a caller has open already are cut once, so that it connects anew and the fault is felt.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import struct
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

from executor.errors import MurphyError
from executor.kernel import child, nft, redirect, sockdiag
from executor.kernel.sockdiag import Address
from executor.proxy import leading
from executor.proxy.edge import Edge
from executor.proxy.faults import Fault, Spec
from executor.proxy.owners import Caller
from executor.proxy.wire import Wire

log = logging.getLogger(__name__)

_ORIGINAL_DESTINATION: Final = 80
_SETTLE_S: Final = 0.05
"""Time for connections that the kernel had already led here to be accepted."""
_TALLY_S: Final = 0.1
_DRAIN_S: Final = 1.5
_BYSTANDERS_S: Final = 8.0
"""The fault is over by then: only what others began meanwhile is still carried."""


class Transparent:
    """Listens, tells whose each connection is, and carries it to where it was meant to go."""

    def __init__(self, job: dict[str, Any], tasks: asyncio.TaskGroup) -> None:
        self._tasks = tasks
        self._connecting: set[asyncio.Task[None]] = set()
        self._mark: str = job["mark"]
        self._ways: list[tuple[redirect.Way, Edge, Caller]] = []
        faults: dict[str, Fault] = {}  # one for all ports of a callee: together they are one line
        for item in job["edges"]:
            edge = Edge(item["edge"], item["protocol"], tasks)
            spec = Spec.parse(job["fault"], edge.protocol)
            edge.put(faults.setdefault(edge.name, Fault(self._mark, spec, edge.name)))
            self._ways.append((way(item), edge, Caller(item["instances"])))

    async def listen(self) -> int:
        """Begin to accept on a port of this machine's own choice, on both loopback addresses; returns it."""
        loop = asyncio.get_running_loop()
        factory = partial(Wire, self._accepted)
        server = await loop.create_server(factory, "127.0.0.1", 0, backlog=1024)
        self.port = int(server.sockets[0].getsockname()[1])
        with suppress(OSError):  # a machine without IPv6 has no such connections either
            await loop.create_server(factory, "::1", self.port, backlog=1024)
        return self.port

    def cut_existing(self) -> None:
        """Cut the callers' connections that were there before. Blocks."""
        for way, _, caller in self._ways:
            for one in sockdiag.to_port(way.port):
                if way.reach.has(one.remote[0]) and _ends_here(way, one) and caller.holds(one):
                    sockdiag.cut(one)

    async def keep_tally(self, deadline: Path) -> None:
        """Put down what was struck, by edge, as often as that changes."""
        last, width = "", 0
        while True:
            edges = {edge.name: tally for _, edge, _ in self._ways for tally in edge.tally(self._mark)}
            if (now := json.dumps(edges)) != last:
                last, width = now, max(width, len(now))
                child.keep_tally(deadline, now.ljust(width))
            await asyncio.sleep(_TALLY_S)

    async def stop(self) -> None:
        """Take the fault away, see what is under way to its end, and cut the rest."""
        for _, edge, _ in self._ways:
            edge.drop(self._mark)
        await asyncio.sleep(_SETTLE_S)
        if self._connecting:
            await asyncio.wait(self._connecting)
        await asyncio.gather(*(edge.drain(_DRAIN_S, _BYSTANDERS_S) for _, edge, _ in self._ways))

    def _accepted(self, client: Wire) -> None:
        task = self._tasks.create_task(self._assign(client))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _assign(self, client: Wire) -> None:
        """Find the edge a connection belongs to."""
        try:
            wanted = _original_destination(client.transport.get_extra_info("socket"))
        except OSError:
            wanted = ("", self.port)
        candidates = [
            (edge, caller) for way, edge, caller in self._ways if way.port == wanted[1] and way.reach.has(wanted[0])
        ]
        if not candidates:  # nobody was led here: it called the helper itself
            client.reset()
            return
        peer = client.transport.get_extra_info("peername")[:2]
        reach = partial(_reach, wanted)
        for edge, caller in candidates:
            try:
                if await asyncio.to_thread(caller.owns, peer, wanted):
                    edge.accept(client, reach)
                    return
            except Exception:  # too many files are open, say: others' connections must not end with this one
                log.exception("edge %s: whose a connection is could not be told; it is only carried", edge.name)
        candidates[0][0].accept(client, reach, hurt=False)


def way(item: dict[str, Any]) -> redirect.Way:
    """Where a job's edge is."""
    return redirect.Way(item["port"], tuple(item["addresses"]), tuple(item["users"]), tuple(item["but"]))


def _ends_here(way: redirect.Way, one: sockdiag.Connection) -> bool:
    """Whether the far end is the callee's: every address is every one of this machine."""
    return one.remote[0] in way.addresses or sockdiag.find(one.remote, one.local) is not None


def _original_destination(accepted: socket.socket) -> Address:
    if accepted.family == socket.AF_INET6:
        _, port, _, packed = struct.unpack_from(
            "!HHI16s", accepted.getsockopt(socket.IPPROTO_IPV6, _ORIGINAL_DESTINATION, 28)
        )
        return socket.inet_ntop(socket.AF_INET6, packed), port
    _, port, packed = struct.unpack_from("!HH4s", accepted.getsockopt(socket.SOL_IP, _ORIGINAL_DESTINATION, 16))
    return socket.inet_ntop(socket.AF_INET, packed), port


async def _reach(address: Address) -> Wire:
    loop = asyncio.get_running_loop()
    own = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
    try:
        own.setblocking(False)
        own.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, redirect.SOCKET_MARK)
        await loop.sock_connect(own, address)
        _, wire = await loop.create_connection(Wire, sock=own)
    except BaseException:
        own.close()
        raise
    return wire


async def _serve(lease: child.Lease, job: dict[str, Any]) -> MurphyError | None:
    """Redirect and strike until the lease or the holder ends; the error if it cannot begin."""
    ways = [way(item) for item in job["edges"]]
    table = nft.Table(job["table"])
    async with asyncio.TaskGroup() as tasks:
        proxy = Transparent(job, tasks)
        port = await proxy.listen()

        async def begin(left_s: float) -> None:
            redirect.lead(table, ways, port, left_s)
            await asyncio.to_thread(proxy.cut_existing)

        tally = tasks.create_task(proxy.keep_tally(lease.deadline))
        try:
            return await leading.lead(lease, table, proxy, begin)
        finally:
            tally.cancel()
            child.drop_tally(lease.deadline)


def main() -> None:
    """The helper: redirect, strike, and leave nothing behind."""
    child.raise_descriptor_limit()
    lease, (job,) = child.lease(sys.argv[1:])
    leading.conclude(asyncio.run(_serve(lease, json.loads(job))))


if __name__ == "__main__":
    main()
