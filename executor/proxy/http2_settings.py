"""Settings of an HTTP/2 connection, which the two ends agree upon through the proxy."""

from __future__ import annotations

import struct
from typing import Final

from executor.proxy.http2 import LEAST_FRAME_BYTES, FrameReader, HeaderReader, HeaderWriter

_ONE: Final = struct.Struct("!HI")
_HEADER_TABLE_SIZE: Final = 0x1
_ENABLE_PUSH: Final = 0x2
_MAX_FRAME_SIZE: Final = 0x5
_TABLE_BYTES: Final = 65_536
"""Headers that the proxy remembers for one end, at most."""


def agreed(payload: bytes, theirs: FrameReader, packed: HeaderReader, ours: HeaderWriter) -> bytes:
    """One end's settings as the other end shall see them: as they are, but for what the proxy has to bear itself.

    ``theirs`` and ``packed`` read what the other end will send, ``ours`` packs what is sent to this one. Nothing may be
    pushed: gRPC never does.
    """
    if len(payload) % _ONE.size:
        return payload  # the other end shall judge
    seen = b""
    for name, given in _ONE.iter_unpack(payload):
        value = given
        if name == _HEADER_TABLE_SIZE:
            value = min(given, _TABLE_BYTES)
            packed.allow_table(value)
            ours.allow_table(value)
        elif name == _MAX_FRAME_SIZE:
            theirs.largest = max(LEAST_FRAME_BYTES, theirs.largest, given & 0xFFFFFF)
        elif name == _ENABLE_PUSH:
            value = 0
        seen += _ONE.pack(name, value)
    return seen
