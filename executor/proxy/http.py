"""HTTP/1.1 through the proxy, one request at a time, each struck by the faults in force when it arrives.

Requests sent ahead (pipelining) wait for their turn. What is not HTTP/1, or stops being so, is tunnelled.
"""

from __future__ import annotations

import h11

from executor.proxy.answers import error_answer
from executor.proxy.exchange import exchange
from executor.proxy.faults import CONNECTION_KINDS, Fault, delayed
from executor.proxy.link import Link
from executor.proxy.messages import MessageReader, is_http1, looks_like, request_reader
from executor.proxy.tunnel import tunnel
from executor.proxy.wire import changed

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


async def relay_http(link: Link) -> None:
    """Carry requests and answers until either end stops, and what is not for us to read as a tunnel.

    Raises ``ConnectionResetError`` where the connection is to be cut.
    """
    ahead = b""
    goes_on = True
    while goes_on:
        requests = request_reader()
        request = await _next_request(link, requests, ahead)
        if request is None:
            came = requests.rest()
            if came and not link.client.ended:
                what = looks_like(came)
                link.edge.passes_unread("HTTP/1 that cannot be read" if what == "HTTP/1" else what)
            await tunnel(link, to_callee=came)
            return
        link.edge.count_call(link)
        link.in_exchange = True
        struck = _struck(link, request)
        await _before_callee(link, struck)
        error = next((fault for fault in struck if fault.spec.kind == "error"), None)
        if error:
            goes_on = await _answer_instead(link, requests, request, error.spec.status)
        else:
            goes_on = await exchange(link, requests, request, struck)
        link.in_exchange = False
        ahead = requests.rest()


async def _next_request(link: Link, requests: MessageReader, ahead: bytes) -> h11.Request | None:
    """The next request's head; ``None`` when what comes is not a request: an end, a greeting, another protocol."""
    try:
        if ahead:
            requests.feed(ahead)
        while (event := requests.next()) is h11.NEED_DATA:
            while not link.client.waiting:
                if link.client.ended or link.callee.ended or link.callee.waiting:
                    return None
                await changed(link.client, link.callee)
            requests.feed(link.client.take())
    except h11.RemoteProtocolError:
        return None
    return event if isinstance(event, h11.Request) and is_http1(event) else None


def _struck(link: Link, request: h11.Request) -> list[Fault]:
    method, path = request.method.decode("ascii"), request.target.decode("ascii")
    struck = [fault for fault in link.faults if fault.spec.kind not in CONNECTION_KINDS]
    struck = [fault for fault in struck if fault.matches(method, path) and fault.strikes()]
    link.edge.faulted += bool(struck)
    return struck + link.struck_by(*CONNECTION_KINDS)


async def _before_callee(link: Link, struck: list[Fault]) -> None:
    """Make the request late, or the last one of its connection."""
    if delays := [fault for fault in struck if fault.spec.kind == "delay"]:
        await delayed(delays, sum(fault.delay_s() for fault in delays))
    for fault in struck:
        if fault.spec.kind == "refuse" or (fault.spec.kind == "reset" and not fault.spec.after_bytes):
            raise ConnectionResetError
        if fault.spec.kind in ("hang", "blackhole") and not fault.spec.after_bytes:
            await link.hold_until_gone([fault])


async def _answer_instead(link: Link, requests: MessageReader, request: h11.Request, status: int) -> bool:
    """Read the request to its end and answer for the callee. Whether the caller may send another."""
    if any(name == b"expect" for name, _ in request.headers):
        await link.client.send(_CONTINUE)
    try:
        while not isinstance(event := requests.next(), h11.EndOfMessage):
            requests.raw()
            if event is h11.NEED_DATA:
                requests.feed(await link.more(link.client))
    except h11.RemoteProtocolError:
        raise ConnectionResetError from None
    requests.raw()
    answer, goes_on = error_answer(status, request)
    await link.client.send(answer)
    return goes_on
