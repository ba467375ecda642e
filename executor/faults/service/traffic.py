"""The helper of service.overload: sends requests at a steady rate, no more of them under way at once than it may.

A module of its own, since the watchdog loads the behaviour and must stay small.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from typing import Any

from executor.kernel import child
from executor.load.generator import Generator
from executor.load.lease import ended
from executor.load.profile import arrivals, constant
from executor.load.request import Request

_REQUEST_S = 10.0
"""How long an answer is waited for."""
_BURST = 20
"""Requests that may be due at once after the helper itself was held up: it does not catch up in one go."""


async def _load(lease: child.Lease, where: tuple[str, int], load: Mapping[str, Any]) -> None:
    """Send until the lease ends, each over a connection of its own.

    A request that is due while all are under way is not sent later. Refusals and silence are what this fault is about:
    nobody counts them.
    """
    generator = Generator(
        Request(*where, load["method"], load["path"], load["body"], load["content_type"]),
        keep_alive=False,
        concurrency=load["concurrency"],
        timeout_s=_REQUEST_S,
        catch_up_s=_BURST / load["rate_rps"],
    )
    await generator.run(arrivals([constant(load["rate_rps"])]), asyncio.get_running_loop().time(), ended(lease))


def main() -> None:
    """The helper: send requests."""
    lease, (address, port, load) = child.lease(sys.argv[1:])
    child.ready()
    asyncio.run(_load(lease, (address, int(port)), json.loads(load)))


if __name__ == "__main__":
    main()
