"""Answers that the proxy gives for the callee, and damage done to those that the callee gave."""

from __future__ import annotations

from http import HTTPStatus

import h11

from executor.proxy.faults import Fault

_FLIP_EVERY = 32
"""One bit is flipped in each block of so many bytes: enough that no text survives."""


def error_answer(status: int, request: h11.Request) -> tuple[bytes, bool]:
    """A whole answer with that status, and whether the connection stays open after it."""
    options = b",".join(value.lower() for name, value in request.headers if name == b"connection")
    goes_on = request.http_version == b"1.1" and b"close" not in options
    body = b'{"error": "fault injected by murphy"}\n'
    head = [
        f"HTTP/1.1 {status} {_reason(status)}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *([] if goes_on else ["Connection: close"]),
        "\r\n",
    ]
    return "\r\n".join(head).encode() + (b"" if request.method == b"HEAD" else body), goes_on


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


_BODILESS = (204, 304)


class Damage:
    """Damages one answer as it passes. ``cut``: the connection ends where the answer was cut short."""

    def __init__(self, fault: Fault) -> None:
        self._fault = fault
        self._how = fault.spec.kind
        self._chunked = False
        self._left: int | None = None
        self.of_body = self._how != "wrong_content_type"
        """Whether it needs a body to damage."""
        self.cut = False

    def head(self, answer: h11.Response, raw: bytes) -> bytes:
        """The head to send instead of ``raw``."""
        headers = dict(answer.headers)
        self._chunked = headers.get(b"transfer-encoding", b"").lower() == b"chunked"
        if self._how == "truncate" and b"content-length" in headers:
            self._left = int(headers[b"content-length"]) // 2
        if self._how == "wrong_content_type":
            wrong = b"application/octet-stream" if b"html" in headers.get(b"content-type", b"") else b"text/html"
            return _head(answer, without=(b"content-type",), extra=b"Content-Type: " + wrong + b"\r\n")
        if self._how == "empty" and answer.status_code not in _BODILESS:
            return _head(answer, without=(b"content-length", b"transfer-encoding"), extra=b"Content-Length: 0\r\n")
        return raw

    def data(self, data: bytes, raw: bytes) -> bytes:
        """The bytes to send instead of ``raw``, which frame ``data``."""
        if self._how == "wrong_content_type":
            return raw
        if self._how == "empty":
            return b""
        kept = self._half(data) if self._how == "truncate" else self._flipped(data)
        return b"%x\r\n%b%b" % (len(data), kept, b"" if self.cut else b"\r\n") if self._chunked else kept

    def end(self, raw: bytes) -> bytes:
        """The bytes to send instead of ``raw``, which end the answer."""
        if self._how == "empty":
            return b""
        sent_already = b"\r\n" if self._chunked and self._how == "bit_flip" else b""  # with the last chunk
        return raw.removeprefix(sent_already)

    def _half(self, data: bytes) -> bytes:
        if self._left is None:  # length unknown: half of what came first
            self.cut = True
            return data[: len(data) // 2]
        kept = data[: self._left]
        self._left -= len(kept)
        self.cut = len(kept) < len(data)
        return kept

    def _flipped(self, data: bytes) -> bytes:
        flipped = bytearray(data)
        for start in range(0, len(data), _FLIP_EVERY):
            place = start + self._fault.choose(min(_FLIP_EVERY, len(data) - start))
            flipped[place] ^= 1 << self._fault.choose(8)
        return bytes(flipped)


class Stall:
    """Lets the beginning of one answer's body through. ``due``: that was all, and the answer stands still."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self._left = fault.spec.after_bytes
        self.due = False

    def passes(self, data: bytes, raw: bytes) -> tuple[bytes, bytes]:
        """What may pass of ``data``, and of ``raw``, which frames it and ends with it."""
        kept = data[: self._left]
        self._left -= len(kept)
        self.due = len(kept) < len(data)
        return kept, raw[: len(raw) - len(data) + len(kept)]


def _head(answer: h11.Response, *, without: tuple[bytes, ...], extra: bytes) -> bytes:
    kept = b"".join(b"%b: %b\r\n" % pair for pair in answer.headers.raw_items() if pair[0].lower() not in without)
    return b"HTTP/%b %d %b\r\n%b%b\r\n" % (answer.http_version, answer.status_code, answer.reason, kept, extra)
