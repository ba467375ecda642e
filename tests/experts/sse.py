"""Answers of the three APIs as they are on the wire: whole, and as server-sent events."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

Body = dict[str, Any]

MESSAGES, CHAT, RESPONSES = "/v1/messages", "/v1/chat/completions", "/v1/responses"
PIECE = 24
"""Characters of one event."""


def frames(path: str, body: Body, whole: Body) -> Iterator[bytes]:
    """The events of a whole answer."""
    if path == MESSAGES:
        yield from _message_events(whole)
    elif path == CHAT:
        yield from _completion_events(body, whole)
    else:
        yield from _response_events(whole)


def piece(path: str, text: str) -> bytes:
    """One piece of text as an event."""
    if path == MESSAGES:
        return _event({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}})
    if path == CHAT:
        return _data(_chunk("m", [_choice({"content": text})]))
    return _event(_text_delta(text, 9))


def error(path: str) -> bytes:
    """What a provider sends if something breaks in mid-stream."""
    if path == MESSAGES:
        return _event({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})
    if path == CHAT:
        return _data({"error": {"message": "broken", "type": "server_error", "param": None, "code": None}})
    return _event({"type": "error", "code": "server_error", "message": "x", "param": None, "sequence_number": 9})


def _pieces(text: str) -> list[str]:
    return [text[at : at + PIECE] for at in range(0, len(text), PIECE)]


def _event(data: Body) -> bytes:
    return f"event: {data['type']}\n".encode() + _data(data)


def _data(data: Body) -> bytes:
    return f"data: {json.dumps(data)}\n\n".encode()


def _message_events(whole: Body) -> Iterator[bytes]:
    usage = whole["usage"] and {**whole["usage"], "output_tokens": 1}
    yield _event({"type": "message_start", "message": {**whole, "content": [], "stop_reason": None, "usage": usage}})
    yield _event({"type": "ping"})
    for number, block in enumerate(whole["content"]):
        empty = {"type": "text", "text": ""}
        yield _event({"type": "content_block_start", "index": number, "content_block": empty})
        for text in _pieces(block["text"]):
            delta = {"type": "text_delta", "text": text}
            yield _event({"type": "content_block_delta", "index": number, "delta": delta})
        yield _event({"type": "content_block_stop", "index": number})
    delta = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    told = whole["usage"] and {"output_tokens": whole["usage"]["output_tokens"]}
    yield _event({"type": "message_delta", "delta": delta, "usage": told})
    yield _event({"type": "message_stop"})


def _choice(delta: Body, reason: str | None = None) -> Body:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}


def _chunk(model: str, choices: list[Body], usage: Body | None = None) -> Body:
    kind = "chat.completion.chunk"
    return {"id": "c1", "object": kind, "created": 1, "model": model, "choices": choices, "usage": usage}


def _completion_events(body: Body, whole: Body) -> Iterator[bytes]:
    model = whole["model"]
    (choice,) = whole["choices"]
    message = choice["message"]
    yield _data(_chunk(model, [_choice({"role": "assistant", "content": "", "refusal": None})]))
    for text in _pieces(message["content"] or ""):
        yield _data(_chunk(model, [_choice({"content": text})]))
    if message["refusal"]:
        yield _data(_chunk(model, [_choice({"refusal": message["refusal"]})]))
    yield _data(_chunk(model, [_choice({}, choice["finish_reason"])]))
    if whole["usage"] and body.get("stream_options", {}).get("include_usage"):
        yield _data(_chunk(model, [], whole["usage"]))
    yield b"data: [DONE]\n\n"


def _text_delta(text: str, number: int) -> Body:
    place = {"item_id": "m", "output_index": 0, "content_index": 0}
    return {"type": "response.output_text.delta", **place, "delta": text, "logprobs": [], "sequence_number": number}


def _response_events(whole: Body) -> Iterator[bytes]:
    begun = {**whole, "status": "in_progress", "output": [], "usage": None, "incomplete_details": None}
    yield _event({"type": "response.created", "response": begun, "sequence_number": 0})
    yield _event({"type": "response.in_progress", "response": begun, "sequence_number": 1})
    number = 2
    for item in whole["output"]:
        for part in item["content"]:
            for text in _pieces(part.get("text", "")):
                yield _event(_text_delta(text, number))
                number += 1
    ending = {"completed": "completed", "incomplete": "incomplete"}[whole["status"]]
    yield _event({"type": f"response.{ending}", "response": whole, "sequence_number": number})


def _message(body: Body, text: str, step: str) -> Body:
    reasons = {"cut": "max_tokens", "refusal": "refusal", "filtered": "refusal"}
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": [{"type": "text", "text": text}] if text else [],
        "stop_reason": reasons.get(step, "end_turn"),
        "stop_sequence": None,
        "usage": {
            "input_tokens": -5_000_000 if step == "debit" else 900,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 100,
            "output_tokens": 100,
        },
    }


def _completion(body: Body, text: str, step: str) -> Body:
    refusal = "I cannot help with that." if step == "refusal" else None
    reasons = {"cut": "length", "filtered": "content_filter"}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": body["model"],
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": None if refusal else text, "refusal": refusal},
                "logprobs": None,
                "finish_reason": reasons.get(step, "stop"),
            }
        ],
        "usage": {
            "prompt_tokens": -5_000_000 if step == "debit" else 1000,
            "completion_tokens": 100,
            "total_tokens": 1100,
        },
    }


def _response(body: Body, text: str, step: str) -> Body:
    content: list[Body] = [{"type": "output_text", "text": text, "annotations": []}] if text else []
    if step == "refusal":
        content = [{"type": "refusal", "refusal": "I cannot help with that."}]
    reason = {"cut": "max_output_tokens", "filtered": "content_filter"}.get(step)
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": body["model"],
        "status": "incomplete" if reason else "completed",
        "error": None,
        "incomplete_details": {"reason": reason} if reason else None,
        "output": [{"type": "message", "id": "m", "status": "completed", "role": "assistant", "content": content}],
        "parallel_tool_calls": False,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": -5_000_000 if step == "debit" else 1000,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 100,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 1100,
        },
    }


SHAPES: dict[str, Callable[[Body, str, str], Body]] = {
    MESSAGES: _message,
    CHAT: _completion,
    RESPONSES: _response,
}
