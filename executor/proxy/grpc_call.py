"""One call on a gRPC connection: a stream at the caller's end, and another at the callee's once it is let through."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from executor.proxy.faults import Fault
from executor.proxy.http2 import DATA, Frame, Headers, data_of

Part = Frame | Headers
"""A frame of a stream; header blocks come whole."""


@dataclass(eq=False)
class Call:
    """What the proxy knows of a call while it is open."""

    began: Headers
    callee: int = 0
    """The stream's number at the callee's end; 0: the callee has not seen it."""
    waiting: list[Part] = field(default_factory=list)
    """What the caller sent before the callee may see it."""
    mute: bool = False
    """Whether it is held for good: what the caller sends is of no use to anybody."""
    holder: asyncio.Task[None] | None = None
    """Who holds it; whoever lets it go clears this first."""
    reset_after: int | None = None
    """Bytes of the answer that pass before the connection is cut."""
    stall: Fault | None = None
    """Whose silence comes over the answer once so many bytes of its messages have passed."""
    stalled: bool = False
    """Whether it has. What the callee still sends is nobody's."""
    caller_ended: bool = False
    callee_ended: bool = False
    _passed_bytes: int = 0

    @property
    def caller(self) -> int:
        """The stream's number at the caller's end."""
        return self.began.stream

    @property
    def is_grpc(self) -> bool:
        """Whether it is a call of gRPC, not of something else that speaks HTTP/2."""
        return self.began.get(b"content-type").startswith(b"application/grpc")

    @property
    def over(self) -> bool:
        """Whether both ends have said all."""
        return self.caller_ended and self.callee_ended

    def passes(self, part: Part) -> Part | None:
        """What may pass of the callee's answer: all of it until it stands still, then nothing.

        Raises ``Http2Error`` for data that cannot be read.
        """
        if self.stalled or not self.stall or not isinstance(part, Frame) or part.kind != DATA:
            return None if self.stalled else part
        data, left = data_of(part), self.stall.spec.after_bytes - self._passed_bytes
        self._passed_bytes += len(data)
        if len(data) <= left:
            return part
        self.stalled = True
        return Frame(DATA, 0, part.stream, data[:left]) if left else None


def flow(part: Part | None) -> int:
    """Bytes that count against the sender's room for data."""
    return len(part.payload) if isinstance(part, Frame) and part.kind == DATA else 0
