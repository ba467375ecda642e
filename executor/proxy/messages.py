"""Finding where HTTP/1.1 messages begin and end, while their bytes pass on exactly as they came.

h11 reads along; nothing is ever written by it, so that header order, case, chunk sizes and trailers stay untouched.
"""

from __future__ import annotations

from typing import Final

import h11

HEAD_BYTES: Final = 262_144
"""Largest head that is understood; a longer one passes unread."""

Event = h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]


class MessageReader:
    """Reads one message. ``raw`` gives the bytes behind the events so far; ``rest`` what no event has used."""

    def __init__(self, connection: h11.Connection) -> None:
        self._h11 = connection
        self._fed = bytearray()

    def feed(self, data: bytes) -> None:
        """More bytes; empty means that the sender has ended."""
        self._fed += data
        self._h11.receive_data(data)

    def next(self) -> Event:
        """The next event, or ``h11.NEED_DATA``. Raises ``h11.RemoteProtocolError`` if this is not HTTP/1."""
        return self._h11.next_event()

    def raw(self) -> bytes:
        """The bytes behind all events so far, each byte given once."""
        used = len(self._fed) - len(self._h11.trailing_data[0])
        data = bytes(self._fed[:used])
        del self._fed[:used]
        return data

    @property
    def pending(self) -> bool:
        """Whether bytes were fed that neither ``raw`` nor ``rest`` has given yet."""
        return bool(self._fed)

    def rest(self) -> bytes:
        """All bytes fed and not yet given by ``raw``."""
        data = bytes(self._fed)
        self._fed.clear()
        return data


def request_reader() -> MessageReader:
    """A reader of one request."""
    return MessageReader(h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES))


def response_reader(request: h11.Request) -> MessageReader:
    """A reader of the answer to ``request`` (interim answers included)."""
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_BYTES)
    kept = [(b"host", b"x")] + [pair for pair in request.headers if pair[0] in (b"upgrade", b"connection")]
    connection.send(h11.Request(method=request.method, target=request.target, headers=kept))
    return MessageReader(connection)


def is_http1(request: h11.Request) -> bool:
    """Whether it speaks version 1.x; the HTTP/2 preface looks like a request too."""
    return request.http_version.startswith(b"1.")


def looks_like(came: bytes) -> str:
    """What a caller speaks whose first bytes are these."""
    if came[:2] == b"\x16\x03":
        return "TLS"
    if came.startswith(b"PRI * HTTP/2"):
        return "HTTP/2"
    return "HTTP/1" if came[:1].isalpha() and b"HTTP/1." in came.partition(b"\n")[0] else "something else"
