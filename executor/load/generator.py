"""Sends requests when they are due, whatever the answers: an open loop."""

from __future__ import annotations

import asyncio
import errno
import math
from collections.abc import Callable, Iterable

from executor.load.connection import Call, Connection
from executor.load.record import Record, Unrecorded
from executor.load.request import Request

_NAP_S = 0.1
"""How long it sleeps at most before it looks whether it is to end."""
_BURST = 16
"""Requests that go out in one go when it is behind; then answers are read."""
_SWEEP_S = 0.05


class Generator:
    """Sends one request over and over. No answer holds it up: what cannot be sent in time is counted, not shifted."""

    def __init__(
        self,
        request: Request,
        *,
        keep_alive: bool,
        concurrency: int,
        timeout_s: float,
        catch_up_s: float,
        record: Record | None = None,
    ) -> None:
        """``concurrency``: requests under way at once, at most; one more is dropped.

        ``timeout_s``: how long an answer is waited for, from when the request went out. ``catch_up_s``: a request that
        the generator is further behind with than this is skipped. Without ``keep_alive`` each has a connection of its
        own, and is answered when the server has closed it.
        """
        self.encoded = request.encoded(keep_alive=keep_alive)
        self.bare = request.method == "HEAD"
        self.safe = request.method in ("GET", "HEAD")
        self.keep_alive = keep_alive
        self._where = request.address, request.port
        self._concurrency, self._timeout_s, self._catch_up_s = concurrency, timeout_s, catch_up_s
        self._record: Record = record or Unrecorded()
        self._calls: dict[Call, None] = {}
        """Those under way, in the order in which they were due."""
        self._opening: dict[Call, asyncio.Task[None]] = {}
        self._connections: set[Connection] = set()
        self._idle: dict[Connection, None] = {}

    async def run(self, arrivals: Iterable[float], begun: float, over: Callable[[], bool]) -> None:
        """Send at ``begun`` (of the event loop's clock) plus each of the arrivals, then wait for answers.

        Ends early once ``over`` says so. No connection is left when it returns; what is not answered then is settled
        as ``unanswered``.
        """
        self._clock = asyncio.get_running_loop().time
        sweeping = asyncio.create_task(self._sweep())
        try:
            await self._send(arrivals, begun, over)
            while self._calls and not over():
                await asyncio.sleep(_SWEEP_S)
        finally:
            sweeping.cancel()
            for call in list(self._calls):
                self._give_up(call, "unanswered")
            for connection in list(self._connections):
                connection.close()
            await asyncio.gather(sweeping, *self._opening.values(), return_exceptions=True)

    async def _send(self, arrivals: Iterable[float], begun: float, over: Callable[[], bool]) -> None:
        burst = 0
        for arrival in arrivals:
            due = begun + arrival
            self._record.next_due(due)
            while (wait_s := due - self._clock()) > 0 and not over():
                await asyncio.sleep(min(wait_s, _NAP_S))
                burst = 0
            if over():
                return
            self._fire(due)
            if (burst := burst + 1) >= _BURST:
                await asyncio.sleep(0)
                burst = 0
        self._record.next_due(math.inf)

    def _fire(self, due: float) -> None:
        now = self._clock()
        if now - due > self._catch_up_s:
            self._record.skipped(due)
        elif len(self._calls) >= self._concurrency:
            self._record.dropped(due)
        else:
            call = Call(due, now + self._timeout_s)
            self._calls[call] = None
            self._record.sent(due, now)
            while self._idle:
                connection, _ = self._idle.popitem()
                if not connection.closing:
                    connection.ask(call)
                    return
            self.once_more(call)

    def once_more(self, call: Call) -> None:
        """Send a request over a fresh connection."""
        self._opening[call] = asyncio.create_task(self._connect(call))

    async def _connect(self, call: Call) -> None:
        try:
            _, connection = await asyncio.get_running_loop().create_connection(lambda: Connection(self), *self._where)
        except OSError as error:
            self.settled(call, _why(error))
            return
        finally:
            self._opening.pop(call, None)
        self._connections.add(connection)
        if call in self._calls:
            connection.ask(call)
        else:
            connection.close()

    def settled(self, call: Call, outcome: str) -> None:
        """A request has its answer, or never gets one."""
        if call in self._calls:
            del self._calls[call]
            self._record.settled(call.due, self._clock(), outcome)

    def free(self, connection: Connection) -> None:
        """A connection can carry the next request."""
        self._idle[connection] = None

    def lost(self, connection: Connection) -> None:
        """A connection is gone."""
        self._idle.pop(connection, None)
        self._connections.discard(connection)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_S)
            now = self._clock()
            for call in list(self._calls):
                if call.until > now:
                    break
                self._give_up(call, "timeout")

    def _give_up(self, call: Call, outcome: str) -> None:
        if call.connection is not None:
            call.connection.give_up(outcome)
        else:
            if (opening := self._opening.get(call)) is not None:
                opening.cancel()
            self.settled(call, outcome)


def _why(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return "no descriptors"
    return "reset" if isinstance(error, ConnectionError) else "unreachable"
