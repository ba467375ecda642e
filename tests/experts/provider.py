"""A provider on loopback: a real HTTP server with the shapes, checks and failures of OpenAI's and Anthropic's APIs."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Brain = Callable[[dict[str, Any], str], Any]
"""Takes the schema asked for and all text sent; gives the answer, an object, or a string for text as it is."""
Body = dict[str, Any]

MESSAGES, CHAT, RESPONSES = "/v1/messages", "/v1/chat/completions", "/v1/responses"
_NOT_IN_STRICT = {"maxLength", "minLength", "default"}
_NOT_AT_ANTHROPIC = {"minimum", "maximum", "exclusiveMinimum", "maxLength", "minLength", "maxItems", "default"}


@dataclass
class Provider:
    """What the server does, in order; afterwards it answers well. Keeps every request."""

    brain: Brain
    steps: list[str] = field(default_factory=list)
    """``429``, ``529``, ``500``, ``401``, ``truncated``, ``not json``, ``hang``, ``reset``, ``cut``, ``empty``."""
    requests: list[tuple[str, dict[str, str], Body]] = field(default_factory=list)
    retry_after: str = "0"
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
        if step in ("429", "529", "500", "401"):
            kinds = {"429": "rate_limit_error", "529": "overloaded_error", "401": "authentication_error"}
            self._send(int(step), _error(self.path, kinds.get(step, "api_error"), "no"))
        elif step == "hang":
            self.close_connection = True
            self.provider.released.wait(60)
        elif step == "reset":
            self.close_connection = True
        elif step == "not json":
            self._raw(b'{"id": "x", "choices": [', 24)
        elif step == "truncated":
            whole = json.dumps(self._answer(body, "good")).encode()
            self.close_connection = True
            self._raw(whole[: len(whole) // 2], len(whole))
        else:
            self._send(200, self._answer(body, step))

    def _answer(self, body: Body, step: str) -> Body:
        answer = self.provider.brain(_schema(self.path, body), _told(self.path, body))
        text = answer if isinstance(answer, str) else json.dumps(answer)
        if step == "cut":
            text = text[: len(text) // 2]
        if step == "empty":
            text = ""
        return _SHAPES[self.path](body, text, step == "cut")

    def _send(self, status: int, body: Body) -> None:
        data = json.dumps(body).encode()
        self._raw(data, len(data), status)

    def _raw(self, data: bytes, length: int, status: int = 200) -> None:
        self.send_response(status)
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


def _message(body: Body, text: str, cut: bool) -> Body:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": [{"type": "text", "text": text}] if text else [],
        "stop_reason": "max_tokens" if cut else "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 1000, "output_tokens": 100},
    }


def _completion(body: Body, text: str, cut: bool) -> Body:
    message = {"role": "assistant", "content": text, "refusal": None}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": body["model"],
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "length" if cut else "stop"}],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100},
    }


def _response(body: Body, text: str, cut: bool) -> Body:
    content = [{"type": "output_text", "text": text, "annotations": []}] if text else []
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": body["model"],
        "status": "incomplete" if cut else "completed",
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "output": [{"type": "message", "id": "m", "status": "completed", "role": "assistant", "content": content}],
        "parallel_tool_calls": False,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": 1000,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 100,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 1100,
        },
    }


_SHAPES: dict[str, Callable[[Body, str, bool], Body]] = {
    MESSAGES: _message,
    CHAT: _completion,
    RESPONSES: _response,
}
