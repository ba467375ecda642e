"""The helper of service.overload: sends requests at a steady rate, no more of them under way at once than it may.

A module of its own, since the watchdog loads the behaviour and must stay small.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from executor.kernel import child

_REQUEST_S = 10.0
"""How long an answer is waited for."""
_BURST = 20
"""Requests that may be due at once after the helper itself was held up: it does not catch up in one go."""


async def _load(lease: child.Lease, where: tuple[str, int], load: Mapping[str, Any]) -> None:
    """Send until the lease ends. A request that is due while all are under way is not sent later."""
    rate_rps, request = load["rate_rps"], _request(where, load)
    underway: set[asyncio.Task[None]] = set()
    clock = asyncio.get_running_loop().time
    due = clock()
    leased = asyncio.create_task(asyncio.to_thread(_until_over, lease))
    while not leased.done():
        due = max(due, clock() - _BURST / rate_rps)
        if len(underway) < load["concurrency"]:
            task = asyncio.create_task(_ask(where, request))
            underway.add(task)
            task.add_done_callback(underway.discard)
        due += 1 / rate_rps
        await asyncio.sleep(max(0.0, due - clock()))
    for task in underway:
        task.cancel()


def _until_over(lease: child.Lease) -> None:
    while lease.wait(1.0):
        pass


def _request(where: tuple[str, int], load: Mapping[str, Any]) -> bytes:
    """The bytes of the request. One that may have a body says its length, also where that is 0."""
    host = f"[{where[0]}]:{where[1]}" if ":" in where[0] else f"{where[0]}:{where[1]}"
    body = str(load["body"]).encode()
    head = [f"{load['method']} {load['path']} HTTP/1.1", f"Host: {host}", "User-Agent: murphy", "Connection: close"]
    if body:
        head.append(f"Content-Type: {load['content_type']}")
    if load["method"] in ("POST", "PUT", "PATCH"):
        head.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*head, "\r\n"]).encode("ascii") + body


async def _ask(where: tuple[str, int], request: bytes) -> None:
    with suppress(OSError, TimeoutError):  # refusals and silence are what this fault is about
        async with asyncio.timeout(_REQUEST_S):
            reader, writer = await asyncio.open_connection(*where)
            try:
                writer.write(request)
                while await reader.read(65536):
                    pass
            finally:
                writer.close()


def main() -> None:
    """The helper: send requests."""
    lease, (address, port, load) = child.lease(sys.argv[1:])
    child.ready()
    asyncio.run(_load(lease, (address, int(port)), json.loads(load)))


if __name__ == "__main__":
    main()
