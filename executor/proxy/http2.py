"""Finding where HTTP/2 frames and header blocks begin and end (RFC 9113), and writing those that the proxy adds.

hyperframe and hpack read and write; no state machine of HTTP/2 stands between the two ends.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from hpack import Decoder, Encoder, HeaderTuple
from hpack.exceptions import HPACKError
from hyperframe.exceptions import HyperframeError
from hyperframe.frame import ContinuationFrame, DataFrame, GoAwayFrame, HeadersFrame, RstStreamFrame, WindowUpdateFrame

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM: Final = 0x1
"""Of DATA and HEADERS; the same bit says ACK of SETTINGS and PING."""
ACK: Final = 0x1

NO_ERROR: Final = 0x0
PROTOCOL_ERROR: Final = 0x1
INTERNAL_ERROR: Final = 0x2
FRAME_SIZE_ERROR: Final = 0x6
REFUSED_STREAM: Final = 0x7
CANCEL: Final = 0x8
COMPRESSION_ERROR: Final = 0x9
ENHANCE_YOUR_CALM: Final = 0xB

LEAST_FRAME_BYTES: Final = 16_384
"""What every end takes in one frame; more only where it has said so."""
BLOCK_BYTES: Final = 262_144
"""Largest header block, packed or unpacked, that is understood."""
_PIECES: Final = 64
"""In so many frames a header block may come."""
_HEAD: Final = struct.Struct("!HBBBI")

Fields = Iterable[tuple[bytes, bytes]]


class Http2Error(Exception):
    """What came cannot be read as HTTP/2, so that the connection cannot go on: why, and the code of HTTP/2 for it."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code = code


class Frame(NamedTuple):
    """One frame as it came."""

    kind: int
    flags: int
    stream: int
    payload: bytes

    @property
    def ends(self) -> bool:
        """Whether the sender's side of the stream ends with it."""
        return self.kind in (DATA, HEADERS) and bool(self.flags & END_STREAM)

    def on(self, stream: int) -> bytes:
        """Its bytes, on that stream."""
        size = len(self.payload)
        return _HEAD.pack(size >> 8, size & 0xFF, self.kind, self.flags, stream) + self.payload


class Headers(NamedTuple):
    """One whole header block."""

    stream: int
    fields: list[HeaderTuple]
    ends: bool

    def get(self, name: bytes) -> bytes:
        """The first value of that name; empty if there is none."""
        return next((bytes(value) for key, value in self.fields if key == name), b"")


class FrameReader:
    """Cuts what one end sends into frames."""

    def __init__(self) -> None:
        self._fed = bytearray()
        self.largest = LEAST_FRAME_BYTES
        """Payload that the other end takes in one frame, bytes."""

    def read(self, data: bytes) -> Iterator[Frame]:
        """The frames that are whole with ``data``. Raises ``Http2Error`` for one that is too large."""
        self._fed += data
        while len(self._fed) >= _HEAD.size:
            high, low, kind, flags, stream = _HEAD.unpack_from(self._fed)
            size = (high << 8) + low
            if size > self.largest:
                raise Http2Error(FRAME_SIZE_ERROR, f"a frame of {size} bytes came where {self.largest} are allowed")
            if len(self._fed) < (end := _HEAD.size + size):
                return
            payload = bytes(memoryview(self._fed)[_HEAD.size : end])
            del self._fed[:end]
            yield Frame(kind, flags, stream & 0x7FFFFFFF, payload)


class HeaderReader:
    """Puts the header blocks of one end together and unpacks them, each one, or the next could not be read."""

    def __init__(self) -> None:
        self._decoder = Decoder(BLOCK_BYTES)
        self._pieces: list[HeadersFrame | ContinuationFrame] = []

    def allow_table(self, size: int) -> None:
        """The other end lets its peer keep so many bytes of headers."""
        self._decoder.max_allowed_table_size = max(size, self._decoder.max_allowed_table_size)

    def wants(self, frame: Frame) -> bool:
        """Whether the frame is part of a header block. Raises ``Http2Error`` if one is broken off by it."""
        if self._pieces and (frame.kind, frame.stream) != (CONTINUATION, self._pieces[0].stream_id):
            raise Http2Error(PROTOCOL_ERROR, "another frame came in the middle of a header block")
        if frame.kind == PUSH_PROMISE:
            raise Http2Error(PROTOCOL_ERROR, "a stream was pushed, which nobody had allowed")
        return frame.kind in (HEADERS, CONTINUATION)

    def take(self, frame: Frame) -> Headers | None:
        """The header block that is whole with this frame. Raises ``Http2Error`` for one that cannot be read."""
        try:
            if frame.kind == HEADERS:
                piece: HeadersFrame | ContinuationFrame = HeadersFrame(frame.stream)
            elif self._pieces:
                piece = ContinuationFrame(frame.stream)
            else:
                raise Http2Error(PROTOCOL_ERROR, "a header block goes on that was never begun")
            piece.parse_flags(frame.flags)
            piece.parse_body(memoryview(frame.payload))
        except HyperframeError as error:
            raise Http2Error(PROTOCOL_ERROR, f"a frame of headers cannot be read ({error})") from None
        self._pieces.append(piece)
        if "END_HEADERS" in piece.flags:
            return self._whole()
        if len(self._pieces) >= _PIECES or sum(len(each.data) for each in self._pieces) > BLOCK_BYTES:
            raise Http2Error(ENHANCE_YOUR_CALM, "a header block does not end")
        return None

    def _whole(self) -> Headers:
        first, block = self._pieces[0], b"".join(each.data for each in self._pieces)
        self._pieces = []
        try:
            fields = list(self._decoder.decode(block, raw=True))
        except HPACKError as error:
            raise Http2Error(COMPRESSION_ERROR, f"a header block cannot be unpacked ({error})") from None
        return Headers(first.stream_id, fields, "END_STREAM" in first.flags)


class HeaderWriter:
    """Packs header blocks for one end."""

    def __init__(self) -> None:
        self._encoder = Encoder()

    def allow_table(self, size: int) -> None:
        """That end keeps only so many bytes of headers. It is never made more again: that would need its consent."""
        if size < self._encoder.header_table_size:
            self._encoder.header_table_size = size

    def frames(self, stream: int, fields: Fields, *, ends: bool) -> bytes:
        """A header block in as many frames as it takes."""
        block = self._encoder.encode(fields)
        pieces = [block[at : at + LEAST_FRAME_BYTES] for at in range(0, len(block), LEAST_FRAME_BYTES)] or [b""]
        frames: list[HeadersFrame | ContinuationFrame] = [HeadersFrame(stream, pieces[0])]
        frames += [ContinuationFrame(stream, piece) for piece in pieces[1:]]
        if ends:
            frames[0].flags.add("END_STREAM")
        frames[-1].flags.add("END_HEADERS")
        return b"".join(frame.serialize() for frame in frames)


def data_of(frame: Frame) -> bytes:
    """What a frame of data holds beside its padding. Raises ``Http2Error`` if that cannot be told."""
    read = DataFrame(frame.stream)
    read.parse_flags(frame.flags)
    try:
        read.parse_body(memoryview(frame.payload))
    except HyperframeError as error:
        raise Http2Error(PROTOCOL_ERROR, f"a frame of data cannot be read ({error})") from None
    return bytes(read.data)


def reset(stream: int, code: int) -> bytes:
    """A stream ends here and now."""
    return RstStreamFrame(stream, error_code=code).serialize()


def credit(size: int, stream: int = 0) -> bytes:
    """Room for so many bytes more, on one stream or (0) on all together."""
    return WindowUpdateFrame(stream, window_increment=size).serialize() if size else b""


def going_away(last: int, code: int, why: str = "") -> bytes:
    """Streams after ``last`` are not seen to."""
    return GoAwayFrame(last_stream_id=last, error_code=code, additional_data=why.encode()).serialize()
