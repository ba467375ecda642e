"""A resolver that answers as a fault wants it: a helper with a lease, to which nftables leads a process's look-ups.

``python -m executor.proxy.resolver HOLDER TICKS DEADLINE JOB``; ``JOB`` is JSON: ``table``, ``net``, ``zone``,
``users``, ``instance`` (whose look-ups are meant), ``resolvers`` (the servers it asks) and ``fault``. What is not meant
goes on to the server that was asked, and its answer comes back as it is.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import sys
from contextlib import suppress
from fnmatch import fnmatchcase
from functools import partial
from typing import Any, Final, cast

from dnslib import AAAA, QTYPE, RCODE, RR, A, DNSError, DNSRecord

from executor.errors import MurphyError
from executor.faults.network.dns import PORT, chains
from executor.kernel import child, netns, redirect, sockets
from executor.kernel.nft import Table
from executor.proxy import leading
from executor.proxy.owners import Caller

log = logging.getLogger(__name__)

_ANSWER_S: Final = 10.0
"""A server that takes longer has been given up by whoever asked."""
_DRAIN_S: Final = 1.5
_FAILURES: Final = {"nxdomain": RCODE.NXDOMAIN, "servfail": RCODE.SERVFAIL}


class Resolver:
    """Answers, or passes on, what arrives for each of the servers."""

    def __init__(self, job: dict[str, Any], tasks: asyncio.TaskGroup) -> None:
        self._tasks = tasks
        self._caller = Caller([job["instance"]])
        self._fault: dict[str, Any] = job["fault"]
        self._ended = asyncio.Event()
        self._open: set[asyncio.Task[None]] = set()

    async def listen(self, resolvers: list[str]) -> dict[str, int]:
        """Begin to answer, on a port of this machine's own choice for each server; returns them."""
        loop = asyncio.get_running_loop()
        ports = {}
        for resolver in resolvers:
            here = ("::1" if ":" in resolver else "127.0.0.1", 0)
            transport, _ = await loop.create_datagram_endpoint(partial(_Inbox, self, resolver), local_addr=here)
            ports[resolver] = int(transport.get_extra_info("sockname")[1])
        return ports

    async def stop(self) -> None:
        """Strike nobody any more: what is late goes on at once, and what is under way comes to its end."""
        self._ended.set()
        if self._open:
            await asyncio.wait(self._open, timeout=_DRAIN_S)
        for task in self._open:
            task.cancel()

    def take(self, query: bytes, inbox: _Inbox, asker: tuple[Any, ...]) -> None:
        """Answer one look-up, in its own time."""
        task = self._tasks.create_task(self._serve(query, inbox, asker))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _serve(self, query: bytes, inbox: _Inbox, asker: tuple[Any, ...]) -> None:
        try:
            answer = await self._answer(query, inbox.resolver, int(asker[1]))
            if answer is not None:
                inbox.transport.sendto(answer, asker)
        except OSError:  # nobody answers, or nobody waits any more: then as without us
            return
        except Exception:  # one look-up's defect must not end the resolver
            log.exception("look-up at %s dropped", inbox.resolver)

    async def _answer(self, query: bytes, resolver: str, port: int) -> bytes | None:
        asked = self._meant(query)
        if asked is not None and await asyncio.to_thread(self._owns, port):
            mode = self._fault["mode"]
            if mode == "timeout":
                return None
            if mode in _FAILURES:
                return failed(asked, _FAILURES[mode])
            if mode == "wrong_address" and asked.q.qtype in (QTYPE.A, QTYPE.AAAA):
                return misled(asked, self._fault["address"])
            if mode == "slow":
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._ended.wait(), self._fault["delay_ms"] / 1000)
        return await _forward(query, resolver)

    def _meant(self, query: bytes) -> DNSRecord | None:
        """The look-up, if it is of a name that is meant."""
        if self._ended.is_set():
            return None
        try:
            asked = DNSRecord.parse(query)
            name = str(asked.q.qname).rstrip(".").lower()
        except (DNSError, IndexError):
            return None
        return asked if any(fnmatchcase(name, pattern.lower()) for pattern in self._fault["names"]) else None

    def _owns(self, port: int) -> bool:
        return self._caller.holds_any(sockets.datagrams(port))


class _Inbox(asyncio.DatagramProtocol):
    """Where the look-ups for one server arrive."""

    transport: asyncio.DatagramTransport

    def __init__(self, owner: Resolver, resolver: str) -> None:
        self._owner, self.resolver = owner, resolver

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio: it can be read."""
        self.transport = cast("asyncio.DatagramTransport", transport)  # asyncio's own is not an instance of it

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """Asyncio: a look-up."""
        self._owner.take(data, self, addr)


def failed(asked: DNSRecord, code: int) -> bytes:
    """An answer that it failed. It names no time for which that holds, so nobody should keep it."""
    answer = asked.reply(aa=0)
    answer.header.rcode = code
    return bytes(answer.pack())


def misled(asked: DNSRecord, address: str) -> bytes:
    """An answer with another address; with none, where the address is of the other family. Nobody should keep it."""
    answer = asked.reply(aa=0)
    kind, data = (QTYPE.AAAA, AAAA) if ":" in address else (QTYPE.A, A)
    if asked.q.qtype == kind:
        answer.add_answer(RR(asked.q.qname, kind, rdata=data(address), ttl=0))
    return bytes(answer.pack())


async def _forward(query: bytes, resolver: str) -> bytes:
    """The server's own answer. Raises ``OSError`` (``TimeoutError``) if there is none."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET6 if ":" in resolver else socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.setblocking(False)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, redirect.SOCKET_MARK)
        await loop.sock_connect(line, (resolver, PORT))
        await loop.sock_sendall(line, query)
        return await asyncio.wait_for(loop.sock_recv(line, 65535), _ANSWER_S)


async def _serve(lease: child.Lease, job: dict[str, Any]) -> MurphyError | None:
    """Lead away and answer until the lease or the holder ends; the error if it cannot begin."""
    table = Table(job["table"])  # in the network that we have entered
    async with asyncio.TaskGroup() as tasks:
        resolver = Resolver(job, tasks)
        ports = await resolver.listen(job["resolvers"])

        async def begin(left_s: float) -> None:
            table.put(chains(job, ports), [PORT], left_s)

        return await leading.lead(lease, table, resolver, begin)


def main() -> None:
    """The helper: lead away, answer, and leave nothing behind."""
    lease, (said,) = child.lease(sys.argv[1:])
    job = json.loads(said)
    try:
        netns.enter(job["net"])
        failure = asyncio.run(_serve(lease, job))
    except MurphyError as error:
        failure = error
    leading.conclude(failure)


if __name__ == "__main__":
    main()
