"""Where an answer of HTTP/1 ends, and what it says. No I/O; the body is read and forgotten."""

from __future__ import annotations

_HEAD_MAX = 65536
_CHUNK_LINE_MAX = 1024


class MalformedError(Exception):
    """What came is no answer of HTTP/1."""


class Answer:
    """Reads one answer. ``status`` is 0 until its head is there.

    h11, which the project has, takes ten times as long: 50 µs for one answer, of 100 that a request may cost at all.
    Source: RFC 9112, section 6.3 (length of a message), 7.1 (chunks), 9.3 (whether the connection can be used again).
    """

    __slots__ = ("_bare", "_buffer", "_chunked", "_left", "_to_the_end", "begun", "reusable", "status")

    def __init__(self, *, bare: bool = False, to_the_end: bool = False) -> None:
        """``bare``: it has no body (to HEAD). ``to_the_end``: it is over when the connection is, whatever it says."""
        self._bare, self._to_the_end = bare, to_the_end
        self._buffer = bytearray()
        self._left: int | None = None
        """Bytes of the body, or of the chunk and its line's end, still to come; ``None``: until the connection ends."""
        self._chunked = False
        self.begun = False
        self.reusable = False
        self.status = 0

    def feed(self, data: bytes) -> bool:
        """Take what came; whether the answer is whole. Raises ``MalformedError``."""
        self.begun = True
        if not self.status:
            self._buffer += data
            while True:
                end = self._buffer.find(b"\r\n\r\n")
                if end < 0:
                    if len(self._buffer) > _HEAD_MAX:
                        raise MalformedError
                    return False
                final = self._head(bytes(self._buffer[:end]))
                del self._buffer[: end + 4]
                if final:
                    break
            data, self._buffer = bytes(self._buffer), bytearray()
        if self._to_the_end or (self._left is None and not self._chunked):
            return False
        if self._chunked:
            return self._chunks(data)
        assert self._left is not None
        self._left -= len(data)
        if self._left < 0:
            raise MalformedError  # more than was announced: nobody can tell what the rest belongs to
        return self._left == 0

    def over(self) -> bool:
        """The connection has ended: whether the answer is whole with that."""
        return bool(self.status) and (self._to_the_end or (self._left is None and not self._chunked))

    def _head(self, head: bytes) -> bool:
        """Read it; whether it is that of the answer itself."""
        first, *lines = head.split(b"\r\n")
        version, _, rest = first.partition(b" ")
        if not version.startswith(b"HTTP/1.") or not rest[:3].isdigit():
            raise MalformedError
        status = int(rest[:3])
        if 100 <= status < 200 and status != 101:
            return False  # the real one follows
        self.status = status
        halves = [line.lower().partition(b":") for line in lines]
        fields = {name.strip(): value.strip() for name, _, value in halves}
        connection = fields.get(b"connection", b"")
        self.reusable = b"close" not in connection and (version == b"HTTP/1.1" or b"keep-alive" in connection)
        if self._bare or status in (204, 304):
            self._left = 0
        elif fields.get(b"transfer-encoding", b"").endswith(b"chunked"):
            self._chunked = True
        elif b"content-length" in fields:
            if not fields[b"content-length"].isdigit():
                raise MalformedError
            self._left = int(fields[b"content-length"])
        else:
            self.reusable = False
        return True

    def _chunks(self, data: bytes) -> bool:
        self._buffer += data
        while True:
            if self._left:
                if len(self._buffer) < self._left:
                    self._left -= len(self._buffer)
                    self._buffer.clear()
                    return False
                del self._buffer[: self._left]
                self._left = None
            end = self._buffer.find(b"\r\n")
            if end < 0:
                if len(self._buffer) > _CHUNK_LINE_MAX:
                    raise MalformedError
                return False
            line = bytes(self._buffer[:end])
            if self._left == 0:  # trailers, which an empty line ends
                del self._buffer[: end + 2]
                if not line:
                    return True
                continue
            try:
                size = int(line.partition(b";")[0], 16)
            except ValueError:
                raise MalformedError from None
            del self._buffer[: end + 2]
            self._left = size + 2 if size > 0 else 0
