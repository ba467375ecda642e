"""Small servers within a test's own event loop, on a port of this machine's choice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol, TypeVar


class Standing(Protocol):
    """A server that can stand still until ``go`` is set."""

    port: int
    go: asyncio.Event

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None: ...


S = TypeVar("S", bound=Standing)


@asynccontextmanager
async def serving(made: S) -> AsyncIterator[S]:
    """It serves inside the block, and says at which port."""
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        made.go.set()
        server.close()
