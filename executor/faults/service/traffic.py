"""The helper of service.overload: sends requests at a steady rate, no more of them under way at once than it may.

A module of its own, since the watchdog loads the behaviour and must stay small.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress

from executor.kernel import child

_REQUEST_S = 10.0
"""How long an answer is waited for."""
_BURST = 20
"""Requests that may be due at once after the helper itself was held up: it does not catch up in one go."""


async def _load(lease: child.Lease, where: tuple[str, int], rate_rps: float, concurrency: int, path: str) -> None:
    """Send until the lease ends. A request that is due while all are under way is not sent later."""
    underway: set[asyncio.Task[None]] = set()
    clock = asyncio.get_running_loop().time
    due = clock()
    leased = asyncio.create_task(asyncio.to_thread(_until_over, lease))
    while not leased.done():
        due = max(due, clock() - _BURST / rate_rps)
        if len(underway) < concurrency:
            task = asyncio.create_task(_request(where, path))
            underway.add(task)
            task.add_done_callback(underway.discard)
        due += 1 / rate_rps
        await asyncio.sleep(max(0.0, due - clock()))
    for task in underway:
        task.cancel()


def _until_over(lease: child.Lease) -> None:
    while lease.wait(1.0):
        pass


async def _request(where: tuple[str, int], path: str) -> None:
    with suppress(OSError, TimeoutError):  # refusals and silence are what this fault is about
        async with asyncio.timeout(_REQUEST_S):
            reader, writer = await asyncio.open_connection(*where)
            try:
                head = f"GET {path} HTTP/1.1\r\nHost: {where[0]}\r\nUser-Agent: murphy\r\nConnection: close\r\n\r\n"
                writer.write(head.encode("ascii"))
                while await reader.read(65536):
                    pass
            finally:
                writer.close()


def main() -> None:
    """The helper: send requests."""
    lease, (address, port, rate_rps, concurrency, path) = child.lease(sys.argv[1:])
    child.ready()
    asyncio.run(_load(lease, (address, int(port)), float(rate_rps), int(concurrency), path))


if __name__ == "__main__":
    main()
