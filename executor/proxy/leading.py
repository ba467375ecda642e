"""A redirect to a server of ours, for as long as a lease lasts: what the helpers that have one do alike."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from executor.errors import MurphyError, UnavailableError
from executor.kernel import child
from executor.kernel.nft import Table

_LOOK_S: Final = 0.1


class Server(Protocol):
    """What is led to: it listens already."""

    async def stop(self) -> None:
        """Take nothing new, and let go what is under way."""


async def lead(
    lease: child.Lease, table: Table, server: Server, begin: Callable[[float], Awaitable[None]]
) -> MurphyError | None:
    """Have ``begin`` put the table there, for so many seconds, and stay until the lease or the holder ends.

    The error if it cannot begin: raised, a task group would wrap it. Neither table nor server is left on return.
    """
    told_to_end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told_to_end.set)
    try:
        if not (left_s := lease.left_s()):
            raise UnavailableError("the lease lapsed before the redirect could begin.")
        await begin(left_s)
        child.ready()
        while not told_to_end.is_set() and await asyncio.to_thread(lease.wait, _LOOK_S):
            pass
    except MurphyError as error:
        return error
    finally:
        table.let_go()
        await server.stop()
        table.remove()
    return None


def conclude(failure: MurphyError | None) -> None:
    """End the helper, with the error's sentence and exit code if it failed."""
    if failure:
        sys.stderr.write(f"{failure}\n")
        sys.exit(failure.exit_code)
