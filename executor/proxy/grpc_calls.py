"""The calls open on one gRPC connection, by their numbers at either end."""

from __future__ import annotations

from typing import Final

from executor.proxy.grpc_call import Call, Part, flow
from executor.proxy.http2 import ENHANCE_YOUR_CALM, PROTOCOL_ERROR, Http2Error

ANY_STREAM: Final = 2**31 - 1
_MOST: Final = 10_000
"""Calls open at once; callees allow far fewer, but do not see those that are held."""
_HELD_BYTES: Final = 64 * 2**20
"""What the caller may send ahead: more than any callee gives room for."""
_PART_BYTES: Final = 64
"""What a part costs beside its data."""


class Calls:
    """Raises ``Http2Error`` where a caller does what it never may."""

    def __init__(self) -> None:
        self._by_caller: dict[int, Call] = {}
        self._by_callee: dict[int, Call] = {}
        self._next = 1
        self._held_bytes = 0
        self.highest = 0
        """Of the caller's numbers so far."""
        self.last = ANY_STREAM
        """Calls after this number are not seen to."""
        self.closed = False
        """Whether the callee takes no more calls."""

    def __bool__(self) -> bool:
        return bool(self._by_caller)

    def of_caller(self, stream: int) -> Call | None:
        """The call of that number at the caller's end."""
        return self._by_caller.get(stream)

    def of_callee(self, stream: int) -> Call | None:
        """The call of that number at the callee's end."""
        return self._by_callee.get(stream)

    def is_new(self, stream: int) -> bool:
        """Whether a number of the caller's has not been used yet, and may be."""
        return self.highest < stream <= self.last

    def begin(self, call: Call) -> None:
        """A call has come."""
        if call.caller % 2 == 0:
            raise Http2Error(PROTOCOL_ERROR, "a call came with a callee's number")
        if len(self._by_caller) >= _MOST:
            raise Http2Error(ENHANCE_YOUR_CALM, f"more than {_MOST} calls are open")
        self.highest = call.caller
        self._by_caller[call.caller] = call

    def wait(self, call: Call, part: Part) -> None:
        """Keep a part of a call until the callee may see it."""
        call.waiting.append(part)
        self._held_bytes += flow(part) + _PART_BYTES
        if self._held_bytes > _HELD_BYTES:
            raise Http2Error(ENHANCE_YOUR_CALM, "more came than anybody gave room for")

    def let_through(self, call: Call) -> list[Part]:
        """Give it a number at the callee's end; returns all that has come of it."""
        call.callee, self._next = self._next, self._next + 2
        self._by_callee[call.callee] = call
        parts = [call.began, *call.waiting]
        self.drop_waiting(call)
        return parts

    def drop_waiting(self, call: Call) -> int:
        """Nobody holds the call any more. Returns how many bytes of data were waiting."""
        if call.holder:
            call.holder.cancel()
            call.holder = None
        waited = sum(map(flow, call.waiting))
        self._held_bytes -= waited + _PART_BYTES * len(call.waiting)
        call.waiting.clear()
        return waited

    def forget(self, call: Call) -> int:
        """It is over. Returns how many bytes of data were waiting."""
        self._by_caller.pop(call.caller, None)
        self._by_callee.pop(call.callee, None)
        return self.drop_waiting(call)

    def held(self) -> list[Call]:
        """Those that the callee has not seen, and those whose answer stands still."""
        return [call for call in self._by_caller.values() if not call.callee or call.stalled]

    def close(self, last: int) -> list[Call]:
        """The callee sees to none after its number ``last``; returns those. ``ANY_STREAM``: it may close soon."""
        if last < ANY_STREAM:
            self.closed = True
            self.leave()
        return [call for number, call in self._by_callee.items() if number > last]

    def leave(self) -> None:
        """See to none after those that have come."""
        self.last = min(self.last, self.highest)
