"""One direction of an HTTP/2 connection through the proxy."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from executor.proxy.http2 import Fields, FrameReader, HeaderReader, HeaderWriter
from executor.proxy.link import Link


class Way:
    """How its sender is read, and what is ready for the other end."""

    def __init__(self, link: Link, send: Callable[[bytes], Awaitable[None]]) -> None:
        self.frames = FrameReader()
        self.headers = HeaderReader()
        self.writer = HeaderWriter()
        self.out = bytearray()
        """Whole frames. They are made and put here without a pause, so that packed headers leave in their order."""
        self._link = link
        self._send = send
        self._turn = asyncio.Lock()
        self._ended = False

    def head(self, stream: int, fields: Fields, *, ends: bool) -> None:
        """Make a header block ready."""
        self.out += self.writer.frames(stream, fields, ends=ends)

    async def flush(self) -> None:
        """Send what is ready, unless there is to be silence."""
        async with self._turn:
            if self._ended:
                self.out.clear()
            if self.out:
                if silent := self._link.struck_by("blackhole"):
                    await self._link.hold_until_gone(silent)
                data = bytes(self.out)
                self.out.clear()
                await self._send(data)

    async def end(self, tell: Callable[[], None]) -> None:
        """Nothing more is sent this way: ``tell`` the other end."""
        async with self._turn:
            self._ended = True
            tell()
