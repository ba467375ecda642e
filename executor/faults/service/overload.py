"""service.overload: a helper sends the instance requests, at a rate and a number under way that are capped."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from executor.drivers import child, local
from executor.drivers.targets import ProcessTarget, Resolved
from executor.faults import held
from executor.faults.behaviour import Context, LeaseKind, Record

if TYPE_CHECKING:
    from executor.model.faults.service import Overload as Spec

_REQUEST_S = 10.0
"""How long an answer is waited for."""
_BURST = 20
"""Requests that may be due at once after the helper itself was held up: it does not catch up in one go."""


class Overload(held.Held):
    """GET requests at a steady rate, whatever the answers; no more under way at once than asked."""

    kind = "service.overload"
    lease: LeaseKind = "parent_death"

    def unsupported(self, fault: Spec, target: Resolved) -> str | None:  # noqa: ARG002 - the protocol's
        """A port is needed."""
        assert isinstance(target, ProcessTarget)
        if target.port is None:
            return f"{target.instance} listens on no known port; name it in system.yaml."
        return None

    def prepare(self, fault: Spec, target: Resolved, context: Context) -> dict[str, Any]:
        """Record where and how much. Raises ``UnavailableError`` if the very process does not listen there."""
        assert isinstance(target, ProcessTarget)
        load = {"rate_rps": fault.rate_rps, "concurrency": fault.concurrency, "path": fault.path}
        return {"address": local.address(target), "port": target.port, **load, **held.record(context)}

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:
        """Start the helper."""
        arguments = [str(record[name]) for name in ("address", "port", "rate_rps", "concurrency", "path")]
        return held.start("executor.faults.service.overload", arguments, record, lease_s)


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
