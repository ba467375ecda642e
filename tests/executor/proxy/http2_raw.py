"""A caller of HTTP/2 that sends whatever it is told, frame by frame, right or wrong."""

from __future__ import annotations

import socket
from typing import Any

from hpack import Decoder, Encoder
from hyperframe.frame import Frame, GoAwayFrame, HeadersFrame, SettingsFrame

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


class Raw:
    """A connection on which the greetings have been exchanged."""

    def __init__(self, port: int, settings: dict[int, int] | None = None) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.encoder, self.decoder = Encoder(), Decoder()
        self._came = b""
        self.socket.sendall(PREFACE)
        self.send(SettingsFrame(settings=settings))
        self.until(SettingsFrame)
        self.send(SettingsFrame(flags=["ACK"]))

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, *frames: Frame) -> None:
        self.socket.sendall(b"".join(frame.serialize() for frame in frames))

    def call(self, stream: int, path: str = "/demo.Echo/Unary", **more: str) -> HeadersFrame:
        """The frame that begins a call."""
        fields = {
            ":method": "POST",
            ":scheme": "http",
            ":path": path,
            ":authority": "here",
            "content-type": "application/grpc",
            "te": "trailers",
            **more,
        }
        return HeadersFrame(stream, self.encoder.encode(list(fields.items())), flags=["END_HEADERS"])

    def frame(self) -> Any:
        """The next frame; ``None`` at the end of the connection."""
        try:
            while len(self._came) < 9 or len(self._came) < 9 + Frame.parse_frame_header(memoryview(self._came[:9]))[1]:
                more = self.socket.recv(65536)
                if not more:
                    return None
                self._came += more
        except ConnectionError:
            return None
        frame, size = Frame.parse_frame_header(memoryview(self._came[:9]))
        frame.parse_body(memoryview(self._came[9 : 9 + size]))
        self._came = self._came[9 + size :]
        return frame

    def until(self, kind: type[Frame]) -> Any:
        """The next frame of that kind; those before it are dropped."""
        while not isinstance(frame := self.frame(), kind):
            assert frame is not None, "the connection ended"
        return frame

    def ending(self) -> list[Any]:
        """All frames until the connection ends."""
        return list(iter(self.frame, None))

    def refusal(self) -> bytes:
        """What the last words say, if there are any."""
        return b"".join(frame.additional_data for frame in self.ending() if isinstance(frame, GoAwayFrame))
