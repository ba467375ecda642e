"""One end of a proxied connection: bytes wait in a bounded buffer, and the end is noticed even while nobody reads.

Asyncio's own streams cannot tell that a peer has gone while its bytes are still unread, which a proxy must.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from contextlib import suppress

BUFFER_BYTES = 65_536
"""Bytes that may wait unread; beyond them the kernel makes the sender wait."""

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Wire(asyncio.Protocol):
    """A socket as the proxy sees it.

    ``ended``: the peer will send no more. ``lost``: the connection is gone, whoever ended it.
    """

    transport: asyncio.Transport

    def __init__(self, opened: Callable[[Wire], None] | None = None) -> None:
        self._opened = opened
        self._buffer = bytearray()
        self._waiters: set[asyncio.Future[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._reading_paused = False
        self._writing_paused = False
        self.ended = False
        self.lost = False
        self.arrived_at = 0.0
        """Loop time at which the oldest waiting byte arrived."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio: the connection stands."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if self._opened:
            self._opened(self)

    def data_received(self, data: bytes) -> None:
        """Asyncio: bytes came."""
        if not self._buffer:
            self.arrived_at = self._loop.time()
        self._buffer += data
        if len(self._buffer) >= BUFFER_BYTES and not self._reading_paused:
            self._reading_paused = True
            self.transport.pause_reading()
        self.wake()

    def eof_received(self) -> bool:
        """Asyncio: the peer will send no more."""
        self.ended = True
        self.wake()
        return True  # the other direction stays open: the peer may still want its answer

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (asyncio's name)
        """Asyncio: the connection is gone."""
        self.ended = self.lost = True
        self.wake()

    def pause_writing(self) -> None:
        """Asyncio: the peer is slow."""
        self._writing_paused = True

    def resume_writing(self) -> None:
        """Asyncio: the peer has caught up."""
        self._writing_paused = False
        self.wake()

    def wake(self) -> None:
        """Let everybody who waits for this wire look again."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    @property
    def waiting(self) -> bool:
        """Whether bytes wait to be taken."""
        return bool(self._buffer)

    def peek(self, size: int) -> bytes:
        """The first bytes that wait, which stay there."""
        return bytes(self._buffer[:size])

    def take(self) -> bytes:
        """All bytes that wait; empty if there are none."""
        data = bytes(self._buffer)
        self._buffer.clear()
        if self._reading_paused and not self.lost:
            self._reading_paused = False
            self.transport.resume_reading()
        return data

    async def send(self, data: bytes) -> None:
        """Send, waiting while the peer is slow. Raises ``ConnectionResetError`` if the connection is gone."""
        if self.lost or self.transport.is_closing():
            raise ConnectionResetError
        if data:
            self.transport.write(data)
        while self._writing_paused:
            if self.lost:
                raise ConnectionResetError
            await changed(self)

    def end(self) -> None:
        """Tell the peer that no more will come; its own bytes are still welcome. One that has gone needs no telling."""
        if not self.lost and not self.transport.is_closing():
            with suppress(OSError):  # it has reset the connection, and asyncio has not noticed yet
                self.transport.write_eof()

    def close(self) -> None:
        """Close once everything sent has left."""
        self.transport.close()

    def reset(self) -> None:
        """Cut the connection with a TCP reset."""
        if self.lost:
            return
        raw: socket.socket | None = self.transport.get_extra_info("socket")
        if raw is not None and raw.fileno() >= 0:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.transport.abort()


async def changed(*wires: Wire) -> None:
    """Wait until anything happens on one of the wires: bytes, an end, or room to send again."""
    waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    for wire in wires:
        wire._waiters.add(waiter)
    try:
        await waiter
    finally:
        for wire in wires:
            wire._waiters.discard(waiter)
