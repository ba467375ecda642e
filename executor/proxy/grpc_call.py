"""One call on a gRPC connection: a stream at the caller's end, and another at the callee's once it is let through."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from executor.proxy.http2 import DATA, Frame, Headers

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
    caller_ended: bool = False
    callee_ended: bool = False

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


def flow(part: Part) -> int:
    """Bytes that count against the sender's room for data."""
    return len(part.payload) if isinstance(part, Frame) and part.kind == DATA else 0
