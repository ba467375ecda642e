"""gRPC through the proxy (cleartext HTTP/2 with prior knowledge). What is not HTTP/2 is tunnelled."""

from __future__ import annotations

import asyncio

from executor.proxy.grpc_conversation import Conversation
from executor.proxy.http2 import PREFACE, SETTINGS
from executor.proxy.link import Link
from executor.proxy.messages import looks_like
from executor.proxy.tunnel import tunnel
from executor.proxy.wire import Wire, changed


async def relay_grpc(link: Link) -> None:
    """Carry calls and answers until either end stops, and what is not HTTP/2 as a tunnel."""
    came = await _greeting(link)
    if not came.startswith(PREFACE):
        link.edge.passes_unread(looks_like(came))
        await tunnel(link, to_callee=came)
        return
    try:
        async with asyncio.TaskGroup() as tasks:
            conversation = Conversation(link, tasks)
            await conversation.carry(came)
    except* OSError:
        if not conversation.refused:
            link.reset()
    finally:
        link.farewell = None


async def _greeting(link: Link) -> bytes:
    """The caller's first bytes, as many as it takes to tell whether this is HTTP/2."""
    came = b""
    while len(came) < len(PREFACE) and PREFACE.startswith(came):
        while not link.client.waiting:
            if link.client.ended or link.callee.ended or not _may_be_settings(link.callee):
                return came
            await changed(link.client, link.callee)
        came += link.client.take()
    return came


def _may_be_settings(callee: Wire) -> bool:
    """Whether what a callee says unasked may be its part of HTTP/2's greeting, which need not wait for the caller's."""
    said = callee.peek(9)
    return all(byte == wanted for byte, wanted in zip(said[3:], (SETTINGS, 0, 0, 0, 0, 0), strict=False))
