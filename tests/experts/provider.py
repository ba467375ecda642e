"""A provider on loopback: a real HTTP server with the shapes, checks and failures of OpenAI's and Anthropic's APIs."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.experts import sse
from tests.experts.sse import CHAT, MESSAGES, RESPONSES, Body

Brain = Callable[[dict[str, Any], str], Any]
"""Takes the schema asked for and all text sent; gives the answer, an object, or a string for text as it is."""

_NOT_IN_STRICT = {"maxLength", "minLength", "default"}
_NOT_AT_ANTHROPIC = {"minimum", "maximum", "exclusiveMinimum", "maxLength", "minLength", "maxItems", "default"}


@dataclass
class Provider:
    """What the server does, in order; afterwards it answers well. Keeps every request."""

    brain: Brain
    steps: list[str] = field(default_factory=list)
    """A status (``429``, ``529``, ``500``, ``401``, ``307``), or what goes wrong with a 200:

    nothing comes (``hang``, ``reset``), it ends too soon (``truncated``, ``broken``, ``stall``, ``error``), never
    (``heading``, ``drip``, ``endless``), or well, but says something else (``not json``, ``packed``, ``cut``,
    ``empty``, ``refusal``, ``filtered``, ``no usage``, ``debit``); or it is only ``slow``.
    """
    requests: list[tuple[str, dict[str, str], Body]] = field(default_factory=list)
    retry_after: str = "0"
    elsewhere: str = ""
    """Where a ``307`` leads."""
    pause_s: float = 0.0
    """Between the pieces of a stream that is ``slow``."""
    port: int = 0
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def texts(self) -> list[str]:
        """Everything sent, request by request: headers and body."""
        return [json.dumps([headers, body], ensure_ascii=False) for _, headers, body in self.requests]

    def url(self, path: str = "") -> str:
        return f"http://127.0.0.1:{self.port}{path}"


@contextmanager
def provider(brain: Brain, *steps: str) -> Iterator[Provider]:
    """A provider for the length of a ``with`` block."""
    state = Provider(brain, list(steps))
    lock = threading.Lock()

    class Handler(_Handler):
        provider = state
        turn = lock

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        state.released.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    provider: Provider
    turn: threading.Lock
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        body: Body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.turn:
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.provider.requests.append((self.path, headers, body))
            step = self.provider.steps.pop(0) if self.provider.steps else "good"
        refused = _refusal(self.path, headers, body)
        if refused:
            self._send(400, _error(self.path, "invalid_request_error", refused))
            return
        self._step(step, body)

    def _step(self, step: str, body: Body) -> None:
        if step.isdecimal():
            kinds = {"429": "rate_limit_error", "529": "overloaded_error", "401": "authentication_error"}
            self._send(int(step), _error(self.path, kinds.get(step, "api_error"), "no"))
        elif step == "hang":
            self.close_connection = True
            self.provider.released.wait(60)
        elif step == "reset":
            self.close_connection = True
        elif step == "heading":
            self.close_connection = True
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            self._drip(b"X-Wait: a little\r\n", 0.1)
        elif body.get("stream"):
            self._stream(step, body)
        else:
            self._whole(step, body)

    def _whole(self, step: str, body: Body) -> None:
        if step in ("not json", "error"):
            self._raw(b'{"id": "x", "choices": [', 24)
        elif step in ("truncated", "broken", "stall"):
            whole = json.dumps(self._answer(body, "good")).encode()
            self.close_connection = True
            self._raw(whole[: len(whole) // 2], len(whole))
            if step == "stall":
                self.provider.released.wait(60)
        elif step == "drip":
            self.close_connection = True
            self._raw(b"", 1_000_000)
            self._drip(b" ")
        elif step == "endless":
            self.close_connection = True
            self._raw(b'{"id": "', 1_000_000_000)
            self._drip(b"x" * 100_000, 0)
        elif step == "packed":
            whole = gzip.compress(json.dumps(self._answer(body, "good")).encode())
            self._raw(whole, len(whole), packed=True)
        else:
            self._send(200, self._answer(body, step))

    def _drip(self, piece: bytes, pause_s: float = 0.02) -> None:
        with suppress(OSError):
            while not self.provider.released.wait(pause_s):
                self.wfile.write(piece)

    def _stream(self, step: str, body: Body) -> None:
        """Server-sent events, in chunks as they come."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        if step == "packed":
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        frames = list(sse.frames(self.path, body, self._answer(body, step)))
        half = len(frames) // 2
        with suppress(OSError):
            for number, frame in enumerate(frames):
                if number == half and self._break_off(step):
                    return
                self._chunk(gzip.compress(frame) if step == "packed" else frame)
                if step == "slow":
                    self.provider.released.wait(self.provider.pause_s)
            self._chunk(b"")

    def _break_off(self, step: str) -> bool:
        """Whether the stream goes no further than its middle."""
        if step not in ("truncated", "broken", "stall", "error", "not json", "drip", "endless"):
            return False
        if step == "broken":  # an orderly end, but not the answer's
            self._chunk(b"")
            return True
        self.close_connection = True
        if step == "error":
            self._chunk(sse.error(self.path))
        elif step == "not json":
            self._chunk(b'event: content_block_delta\ndata: {"type": "content_blo\n\n')
        elif step == "stall":
            self.provider.released.wait(60)
        elif step in ("drip", "endless"):
            piece = b": keep-alive\n\n" if step == "drip" else sse.piece(self.path, "x" * 50_000)
            while not self.provider.released.wait(0.02 if step == "drip" else 0):
                self._chunk(piece)
        return True

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def _answer(self, body: Body, step: str) -> Body:
        answer = self.provider.brain(_schema(self.path, body), _told(self.path, body))
        text = answer if isinstance(answer, str) else json.dumps(answer)
        if step == "cut":
            text = text[: len(text) // 2]
        if step in ("empty", "refusal", "filtered"):
            text = ""
        whole = sse.SHAPES[self.path](body, text, step)
        if step == "no usage":
            whole["usage"] = None
        return whole

    def _send(self, status: int, body: Body) -> None:
        data = json.dumps(body).encode()
        self._raw(data, len(data), status)

    def _raw(self, data: bytes, length: int, status: int = 200, *, packed: bool = False) -> None:
        self.send_response(status)
        if packed:
            self.send_header("Content-Encoding", "gzip")
        if status == 307:
            self.send_header("Location", self.provider.elsewhere)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(length))
        if status in (429, 529):
            self.send_header("retry-after", self.provider.retry_after)
        self.end_headers()
        self.wfile.write(data)


def _schema(path: str, body: Body) -> dict[str, Any]:
    if path == MESSAGES:
        found = body["output_config"]["format"]["schema"]
    elif path == CHAT:
        found = body["response_format"]["json_schema"]["schema"]
    else:
        found = body["text"]["format"]["schema"]
    return dict(found)


def _told(path: str, body: Body) -> str:
    said = body["input"] if path == RESPONSES else body["messages"]
    system = body.get("system") or body.get("instructions") or ""
    return "\n".join([system, *(turn["content"] for turn in said)])


def _refusal(path: str, headers: dict[str, str], body: Body) -> str:
    """What the real API would answer 400 to."""
    if path == MESSAGES:
        if "anthropic-version" not in headers or "max_tokens" not in body:
            return "anthropic-version and max_tokens are required"
        if {"temperature", "top_p", "top_k"} & set(body):
            return "sampling parameters are not supported by this model"
        return _not_closed(_schema(path, body), _NOT_AT_ANTHROPIC)
    if path not in (CHAT, RESPONSES):
        return f"no such path {path}"
    if "authorization" not in headers:
        return "no key"
    if "stream_options" in body and not body.get("stream"):
        return "stream_options is only allowed when stream is enabled"
    strict = body["response_format"]["json_schema"]["strict"] if path == CHAT else body["text"]["format"]["strict"]
    return _not_closed(_schema(path, body), _NOT_IN_STRICT if path == RESPONSES else set()) if strict else "strict only"


def _not_closed(schema: Any, banned: set[str]) -> str:
    if isinstance(schema, list):
        return next((said for each in schema if (said := _not_closed(each, banned))), "")
    if not isinstance(schema, dict):
        return ""
    if schema.get("type") == "object":
        if schema.get("additionalProperties") is not False:
            return "additionalProperties must be false"
        if set(schema.get("required", ())) != set(schema.get("properties", {})):
            return "every property must be required"
    if banned & set(schema):
        return f"{', '.join(sorted(banned & set(schema)))} is not permitted"
    return next((said for each in schema.values() if (said := _not_closed(each, banned))), "")


def _error(path: str, kind: str, message: str) -> Body:
    if path == MESSAGES:
        return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}
    return {"error": {"message": message, "type": kind, "param": None, "code": None}}
