from __future__ import annotations

import asyncio
import socket
import struct

from executor.proxy.wire import Wire


def test_whoever_has_reset_the_connection_needs_not_be_told_of_its_end() -> None:
    async def end_after_reset() -> None:
        loop = asyncio.get_running_loop()
        opened: asyncio.Future[Wire] = loop.create_future()
        server = await loop.create_server(lambda: Wire(opened.set_result), "127.0.0.1", 0)
        with socket.create_connection(server.sockets[0].getsockname()) as client:
            wire = await opened
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert not wire.lost  # nobody has let the loop look
        wire.end()
        wire.close()
        server.close()
        await server.wait_closed()

    asyncio.run(end_after_reset())
