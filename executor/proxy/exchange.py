"""One request that reaches the callee, and its answer: both streamed, byte for byte unless a fault damages them."""

from __future__ import annotations

import asyncio
from typing import Literal

import h11

from executor.proxy.answers import Damage, Stall
from executor.proxy.faults import DAMAGE_KINDS, Fault
from executor.proxy.link import Link
from executor.proxy.messages import MessageReader, response_reader
from executor.proxy.tunnel import tunnel
from executor.proxy.wire import changed

Sent = Literal["sent", "unreadable", "stopped"]
"""What became of a request: sent whole, not HTTP after all, or the callee took no more of it."""


async def exchange(link: Link, requests: MessageReader, request: h11.Request, struck: list[Fault]) -> bool:
    """Carry the request read by ``requests`` and its answer. Whether another request may follow.

    What turns out not to be HTTP, an upgrade included, is tunnelled to its end. Raises ``ConnectionResetError`` if
    either side is lost in the middle.
    """
    body = asyncio.create_task(_send_request(link, requests))
    body.add_done_callback(lambda _: link.client.wake())
    answer = _Answer(link, requests, request, struck, body)
    try:
        outcome = await answer.relay()
        while outcome == "whole" and not body.done() and not link.callee.ended:
            await changed(link.client, link.callee)
    finally:
        body.cancel()
        await asyncio.wait([body])
    if outcome == "unreadable":
        await tunnel(link, to_callee=requests.rest(), to_caller=answer.responses.rest())
    return outcome == "whole" and not body.cancelled() and body.result() == "sent"


async def _send_request(link: Link, requests: MessageReader) -> Sent:
    """Send the request to its end. Cancelled, it leaves what was not sent with ``requests``."""
    try:
        while not isinstance(event := requests.next(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                await link.to_callee(requests.raw())
                requests.feed(await link.more(link.client))
        await link.to_callee(requests.raw())
    except h11.RemoteProtocolError:  # it ends too early or is malformed: the callee shall judge
        return "unreadable"
    except ConnectionResetError:
        return "stopped"
    return "sent"


class _Answer:
    """Relays the answer to one request, interim answers included."""

    def __init__(
        self, link: Link, requests: MessageReader, request: h11.Request, struck: list[Fault], body: asyncio.Task[Sent]
    ) -> None:
        self._link = link
        self._requests = requests
        self._body = body
        self.responses = response_reader(request)
        self._damage = next((Damage(fault) for fault in struck if fault.spec.kind in DAMAGE_KINDS), None)
        if self._damage and request.method == b"HEAD" and self._damage.of_body:
            self._damage = None
        hangs = [fault for fault in struck if fault.spec.kind == "hang"]
        self._stall = Stall(min(hangs, key=lambda fault: fault.spec.after_bytes)) if hangs else None
        resets = [fault.spec.after_bytes for fault in struck if fault.spec.kind == "reset"]
        self._reset_after = min(resets, default=None)

    async def relay(self) -> Literal["whole", "cut", "unreadable"]:
        """Send the answer. ``cut``: damage ended it early; ``unreadable``: the rest is not for us to read."""
        try:
            while not isinstance(event := self.responses.next(), h11.EndOfMessage):
                if event is h11.PAUSED:
                    return "unreadable"
                if event is h11.NEED_DATA:
                    await self._send(b"" if self._damage else self.responses.raw())
                    if not await self._wait_for_more():
                        return "unreadable"
                    self.responses.feed(await self._link.more(self._link.callee))
                elif self._damage or self._stall:
                    await self._send(self._struck(event))
                    if self._stall and self._stall.due:
                        await self._link.hold_until_gone([self._stall.fault])
                    if self._damage and self._damage.cut:
                        return "cut"
            last = self.responses.raw()
            await self._send(self._damage.end(last) if self._damage else last)
        except h11.RemoteProtocolError:  # it ends too early or is not HTTP: the caller shall judge
            return "unreadable"
        return "unreadable" if self.responses.pending else "whole"

    def _struck(self, event: object) -> bytes:
        """The bytes to send for what the callee sent."""
        raw = self.responses.raw()
        if isinstance(event, h11.Data):
            data = bytes(event.data)
            if self._stall:
                data, raw = self._stall.passes(data, raw)
            if self._damage:
                return self._damage.data(data, raw) if data else b""
        elif isinstance(event, h11.Response) and self._damage:
            return self._damage.head(event, raw)
        return raw

    async def _wait_for_more(self) -> bool:
        """Wait until the callee sends or ends. ``False``: the request turned out to be unreadable, or is all there is.

        A caller that ended after its request may still want the answer; the callee must learn of the end.
        """
        link = self._link
        while not link.callee.waiting and not link.callee.ended:
            if link.client.lost:
                raise ConnectionResetError
            if self._body.done():
                if self._body.result() == "unreadable":
                    return False
                if link.client.ended and not link.client.waiting and not self._requests.pending:
                    link.callee.end()
            await changed(link.client, link.callee)
        return True

    async def _send(self, data: bytes) -> None:
        link = self._link
        if not data:
            return
        if silent := link.struck_by("blackhole"):
            await link.hold_until_gone(silent)
        allowed = data if self._reset_after is None else data[: self._reset_after]
        if self._reset_after is not None:
            self._reset_after -= len(allowed)
        await link.to_caller(allowed)
        if len(allowed) < len(data):
            raise ConnectionResetError
