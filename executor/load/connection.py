"""A connection that carries one request after the other."""

from __future__ import annotations

import asyncio
from typing import Protocol, cast

from executor.load.answer import Answer, MalformedError


class Call:
    """A request: when it was due, and whether it has been sent anew on a fresh connection."""

    __slots__ = ("again", "connection", "due", "until")

    def __init__(self, due: float, until: float) -> None:
        """Times of the event loop's clock: when it is due, and until when its answer is waited for."""
        self.due = due
        self.until = until
        self.again = False
        self.connection: Connection | None = None


class Owner(Protocol):
    """Who sends requests over connections."""

    encoded: bytes
    bare: bool
    keep_alive: bool
    safe: bool
    """Whether a request may be sent a second time."""

    def settled(self, call: Call, outcome: str) -> None:
        """A request has its answer, or never gets one."""

    def free(self, connection: Connection) -> None:
        """A connection can carry the next request."""

    def lost(self, connection: Connection) -> None:
        """A connection is gone."""

    def once_more(self, call: Call) -> None:
        """The server closed an idle connection just as the request came: it has not been looked at."""


class Connection(asyncio.Protocol):
    """One connection. ``outcome`` of a call: the empty string when it went well, else how it failed."""

    __slots__ = ("_answer", "_call", "_owner", "_transport", "_used")

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self._call: Call | None = None
        self._answer = Answer()
        self._used = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self._transport = cast("asyncio.Transport", transport)

    def ask(self, call: Call) -> None:
        """Send the request."""
        assert self._transport is not None
        self._call, call.connection = call, self
        self._answer = Answer(bare=self._owner.bare, to_the_end=not self._owner.keep_alive)
        self._transport.write(self._owner.encoded)

    def data_received(self, data: bytes) -> None:
        """Some of the answer."""
        if self._call is None:
            self.close()  # an answer to nothing
            return
        try:
            whole = self._answer.feed(data)
        except MalformedError:
            self._settle("malformed")
            self.close()
            return
        if whole:
            reusable = self._answer.reusable
            self._settle(_outcome(self._answer.status))
            if reusable:
                self._used = True
                self._owner.free(self)
            else:
                self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self._owner.lost(self)
        if self._call is None:
            return
        if self._answer.over() and exc is None:
            self._settle(_outcome(self._answer.status))
        elif self._used and not self._answer.begun and self._owner.safe and not self._call.again:
            call, self._call = self._call, None
            call.again, call.connection = True, None
            self._owner.once_more(call)
        else:
            self._settle("reset")

    def give_up(self, outcome: str) -> None:
        """Wait no longer for the answer."""
        if self._call is not None:
            self._settle(outcome)
        self.close()

    def close(self) -> None:
        """End it at once, and send nothing more."""
        if self._transport is not None:
            self._transport.abort()

    @property
    def closing(self) -> bool:
        """Whether nothing can be sent over it."""
        return self._transport is None or self._transport.is_closing()

    def _settle(self, outcome: str) -> None:
        call, self._call = self._call, None
        assert call is not None
        call.connection = None
        self._owner.settled(call, outcome)


def _outcome(status: int) -> str:
    return "" if 200 <= status < 400 else f"status {status}"
