"""A small real service whose resilience has switches: ``python member.py PORT [--upstream PORT] [--retries 6] …``.

``/`` does its own work. ``/via`` asks the upstream's ``/`` and fails with it; ``/soft`` asks it too, and with
``--fallback`` does without. ``/health`` is well, unless with ``--honest`` the last call upstream has failed, or any did
within ``--sulks-s``; not sooner than ``--notices-s`` after the first. Bounded: it ends by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import math
import os
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

LIFE_S = 300.0


@dataclass
class Breaker:
    """Opens after three failures in a row; then one call each ``open_s`` finds out."""

    open_s: float
    failures: int = 0
    again_s: float = 0.0

    def allows(self) -> bool:
        if self.failures < 3:
            return True
        now = time.monotonic()
        if now < self.again_s:
            return False
        self.again_s = now + self.open_s
        return True

    def report(self, *, good: bool) -> None:
        self.failures = 0 if good else self.failures + 1
        self.again_s = time.monotonic() + self.open_s


@dataclass
class Member:
    """One service. It works on ``workers`` requests at once; those to its upstream count among these or, with
    ``separate``, have as many places of their own. Whom it keeps waiting may have gone: it works on all the same.
    """

    upstream: int
    timeout_s: float
    retries: int
    workers: int
    work_s: float
    separate: bool
    fallback: bool
    honest: bool
    breaker: Breaker | None
    sulks_s: float
    notices_s: float
    well: bool = True
    failed_s: float = -math.inf
    first_s: float = math.inf
    own: asyncio.Semaphore = field(init=False)
    calling: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self.own = asyncio.Semaphore(self.workers)
        self.calling = asyncio.Semaphore(self.workers) if self.separate else self.own

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            ok = await self.answer(head.split()[1].decode())
            word = "200 OK" if ok else "503 Service Unavailable"
            writer.write(f"HTTP/1.1 {word}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
            await writer.drain()
        writer.close()

    async def answer(self, path: str) -> bool:
        if path == "/health":
            now_s = time.monotonic()
            unwell = not self.well or now_s - self.failed_s <= self.sulks_s
            return not (self.honest and unwell and now_s - self.first_s >= self.notices_s)
        if path == "/":
            async with self.own:
                await asyncio.sleep(self.work_s)
            return True
        async with self.calling:
            good = await self.call()
        return good or (path == "/soft" and self.fallback)

    async def call(self) -> bool:
        for _ in range(1 + self.retries):
            if self.breaker is not None and not self.breaker.allows():
                return False
            good = await self.ask()
            if self.breaker is not None:
                self.breaker.report(good=good)
            self.well = good
            self.failed_s = self.failed_s if good else time.monotonic()
            self.first_s = self.first_s if good else min(self.first_s, self.failed_s)
            if good:
                return True
        return False

    async def ask(self) -> bool:
        try:
            async with asyncio.timeout(self.timeout_s), connected(self.upstream) as (reader, writer):
                writer.write(b"GET / HTTP/1.1\r\nhost: member\r\nconnection: close\r\n\r\n")
                return (await reader.readline()).split()[1:2] == [b"200"]
        except (OSError, TimeoutError):
            return False


@contextlib.asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--upstream", type=int, default=0)
    parser.add_argument("--timeout-s", type=float, default=0.1)
    parser.add_argument("--retries", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--work-s", type=float, default=0.0)
    parser.add_argument("--breaker-s", type=float, default=0.0)
    parser.add_argument("--sulks-s", type=float, default=0.0)
    parser.add_argument("--notices-s", type=float, default=0.0)
    for switch in ("separate", "fallback", "honest"):
        parser.add_argument(f"--{switch}", action="store_true")
    given = vars(parser.parse_args())
    port, open_s = given.pop("port"), given.pop("breaker_s")
    member = Member(**given, breaker=Breaker(open_s) if open_s else None)
    server = await asyncio.start_server(member.serve, "127.0.0.1", port, backlog=1000)
    asyncio.get_running_loop().call_later(LIFE_S, os._exit, 0)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
