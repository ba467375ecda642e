"""One edge: the faults in force on it, the connections it carries, and the calls counted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from executor.proxy.config import Protocol
from executor.proxy.faults import CONNECTION_KINDS, Fault, unit
from executor.proxy.grpc import relay_grpc
from executor.proxy.http import relay_http
from executor.proxy.link import Link
from executor.proxy.tunnel import tunnel
from executor.proxy.wire import Wire

log = logging.getLogger(__name__)

_LOOK_S = 0.02


class Edge:
    """Carries one edge's connections. Faults strike those that exist already as well as new ones."""

    def __init__(self, name: str, protocol: Protocol, tasks: asyncio.TaskGroup) -> None:
        self.name = name
        self.protocol = protocol
        self.faults: list[Fault] = []
        self.links: set[Link] = set()
        self.calls = 0
        """Calls of the caller that have arrived so far, answered by whomever."""
        self.connections = 0
        self.faulted = 0
        """Requests (HTTP), calls (gRPC) or connections (otherwise) that a fault has struck so far."""
        self._unread: set[str] = set()
        self._tasks = tasks

    def count_call(self, link: Link) -> None:
        """One more call arrived; a bystander's are not this edge's."""
        self.calls += link.hurt

    def passes_unread(self, what: str) -> None:
        """A connection is only carried, since it speaks ``what`` instead of the edge's protocol: said once."""
        if what not in self._unread:
            self._unread.add(what)
            log.warning(
                "edge %s: a connection speaks %s, not cleartext %s; it is passed on, and only what strikes whole"
                " connections strikes it",
                self.name,
                what,
                self.protocol,
            )

    def put(self, fault: Fault) -> None:
        """Put a fault in force. One of the same mark is replaced."""
        self.drop(fault.mark)
        self.faults.append(fault)
        if fault.spec.kind in ("refuse", "reset") and not fault.spec.after_bytes:
            for link in tuple(self.links):
                # An idle HTTP connection is struck by its next request, which is then counted as a call.
                busy = link.tunnelled or (link.in_exchange and fault.spec.kind == "refuse")
                if link.hurt and busy and link.strikes(fault):
                    link.reset()

    def drop(self, mark: str) -> bool:
        """Take the mark's fault away and release whom it held. Whether there was one."""
        gone = [fault for fault in self.faults if fault.mark == mark]
        self.faults = [fault for fault in self.faults if fault.mark != mark]
        for fault in gone:
            fault.ended.set()
        return bool(gone)

    def tally(self, mark: str) -> list[dict[str, Any]]:
        """What the mark's fault has met (``of`` which it is said), struck, and held up, if it is in force."""
        return [
            {
                "of": unit(fault.spec.kind, self.protocol),
                **{name: getattr(fault, name) for name in ("met", "struck", "waits", "waited_s")},
            }
            for fault in self.faults
            if fault.mark == mark
        ]

    def accept(self, client: Wire, reach: Callable[[], Awaitable[Wire]], *, hurt: bool = True) -> None:
        """Carry a connection that came in; ``reach`` connects to the callee. Faults strike it only if ``hurt``."""
        link = Link(self, client, hurt=hurt)
        self.links.add(link)
        link.task = self._tasks.create_task(self._serve(link, reach))

    async def drain(self, within_s: float, bystanders_s: float) -> None:
        """Close each connection as soon as nothing is under way on it; cut what is left after so many seconds.

        ``within_s`` is for the caller's, ``bystanders_s``, which is longer, for those of others.
        """
        loop = asyncio.get_running_loop()
        begun = loop.time()
        for link in tuple(self.links):
            if link.farewell:
                link.farewell()
        while self.links and (waited_s := loop.time() - begun) < bystanders_s:
            for link in tuple(self.links):
                if link.idle:
                    link.close()
                elif link.hurt and waited_s >= within_s:
                    link.cut()
            await asyncio.sleep(_LOOK_S)
        self.cut()

    def cut(self) -> None:
        """Cut every connection, also one whose callee is still being reached."""
        for link in tuple(self.links):
            link.cut()

    async def _serve(self, link: Link, reach: Callable[[], Awaitable[Wire]]) -> None:
        self.connections += link.hurt
        try:
            await self._relay(link, reach)
        except OSError:
            link.reset()  # one side is gone: the other learns it as a reset
        except Exception:  # one connection's defect must not end the proxy
            log.exception("edge %s: connection dropped", self.name)
            link.reset()
        finally:
            self.links.discard(link)
            link.close()

    async def _relay(self, link: Link, reach: Callable[[], Awaitable[Wire]]) -> None:
        if struck := link.struck_by(*CONNECTION_KINDS):
            self.count_call(link)
            silent = [fault for fault in struck if fault.spec.kind == "blackhole"]
            if len(silent) == len(struck):
                await link.hold_until_gone(silent)
            raise ConnectionResetError
        try:
            link.upstream = await reach()
        except OSError:
            self.count_call(link)  # the caller tried, though nobody was there
            raise
        if self.protocol == "http":
            await relay_http(link)
        elif self.protocol == "grpc":
            await relay_grpc(link)
        else:
            await tunnel(link)
