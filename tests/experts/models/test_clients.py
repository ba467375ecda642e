"""Either SDK against a server on loopback that fails in every way: what comes of it, when, and what it tells whom."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from experts.models.answers import predictions_shape
from experts.models.anthropic import AnthropicClient
from experts.models.client import Client, ProviderError, Reply, Turn, Usage, origin, retry_after
from experts.models.openai import OpenAIClient
from tests.experts.provider import Provider, provider
from tests.experts.sse import PIECE
from tests.missing import not_meant

SCHEMA = predictions_shape(["h1"]).model_json_schema()
ANSWER = {"predictions": [{"hypothesis": "h1", "probability": 0.25}]}
Make = Callable[..., Client]


def chat(server: Provider, **given: Any) -> Client:
    return OpenAIClient("test-1", base_url=server.url("/v1"), api_key="k", **given)


def responses(server: Provider, **given: Any) -> Client:
    return OpenAIClient("test-1", base_url=server.url("/v1"), api_key="k", api="responses", **given)


def messages(server: Provider, **given: Any) -> Client:
    return AnthropicClient("test-1", base_url=server.url(), api_key="k", **given)


@pytest.fixture(params=[chat, responses, messages], ids=lambda make: make.__name__)
def make(request: pytest.FixtureRequest) -> Make:
    found: Make = request.param
    return found


@pytest.fixture(params=[True, False], ids=["streamed", "whole"])
def stream(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def ask(client: Client, pieces: list[str] | None = None, timeout_s: float = 10.0) -> Reply:
    heard = pieces if pieces is not None else []
    return client.answer(
        "You are terse.", (Turn("user", "How likely?"),), SCHEMA, heard.append, timeout_s=timeout_s, tokens_max=500
    )


def fails(client: Client, timeout_s: float = 10.0, pieces: list[str] | None = None) -> ProviderError:
    with pytest.raises(ProviderError) as raised:
        ask(client, pieces, timeout_s)
    return raised.value


def answering() -> Any:
    return provider(lambda _schema, _told: ANSWER)


def steps(*names: str) -> Any:
    return provider(lambda _schema, _told: ANSWER, *names)


def test_streamed_or_whole_it_is_the_same_answer(make: Make) -> None:
    with answering() as server:
        pieces: list[str] = []
        streamed = ask(make(server, stream=True), pieces)
        whole = ask(make(server, stream=False))
        bodies = [body for _, _, body in server.requests]
    assert streamed == whole
    assert streamed.usage == Usage(1000, 100)
    assert not streamed.cut
    assert "".join(pieces) == streamed.text
    assert len(pieces) == -(-len(streamed.text) // PIECE)
    assert [bool(body.get("stream")) for body in bodies] == [True, False]


def test_what_comes_is_said_before_the_answer_ends(make: Make) -> None:
    with steps("stall") as server:
        pieces: list[str] = []
        error = fails(make(server), 0.5, pieces)
    assert pieces
    assert (error.message, error.retry, error.usage) == ("no answer within 0.5 s", True, None)


@pytest.mark.parametrize("step", ["hang", "heading", "stall", "drip", "slow"])
def test_a_call_ends_in_time_however_steadily_something_comes(make: Make, stream: bool, step: str) -> None:
    if step == "slow" and not stream:
        not_meant("an answer that comes whole cannot be slow in pieces")
    with provider(lambda _schema, _told: {"predictions": [], "x": "y" * 100 * PIECE}, step) as server:
        server.pause_s = 0.1
        began = time.monotonic()
        error = fails(make(server, stream=stream), 0.4)
        took_s = time.monotonic() - began
    assert error.message == "no answer within 0.4 s"
    assert took_s < 2.0, "the SDK's first call in a process loads it"
    assert not [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]


@pytest.mark.parametrize(
    ("step", "message", "retry"),
    [
        ("429", "it answered with status 429", True),
        ("500", "it answered with status 500", True),
        ("529", "it answered with status 529", True),
        ("401", "it answered with status 401", False),
        ("307", "it answered with status 307", False),
        ("reset", "the connection failed", True),
        ("truncated", "the connection failed", True),
        ("refusal", "it declined to answer", False),
        ("empty", "it answered nothing", False),
    ],
)
def test_each_failure_is_said_in_its_own_words(make: Make, stream: bool, step: str, message: str, retry: bool) -> None:
    with steps(step) as server:
        error = fails(make(server, stream=stream))
        assert len(server.requests) == 1, "the SDK must not retry by itself"
    assert error.message.startswith(message)
    assert error.retry is retry


@pytest.mark.parametrize(
    ("step", "message"),
    [("broken", "its answer broke off"), ("error", "it broke off with an error"), ("not json", "its answer cannot be")],
)
def test_a_stream_that_breaks_off_is_no_answer(make: Make, step: str, message: str) -> None:
    with steps(step) as server:
        error = fails(make(server))
    assert error.message.startswith(message)
    assert error.usage is None, "what was said of it at the beginning is no bill"
    assert error.retry


def test_a_filter_is_told_from_a_refusal_where_the_provider_does(stream: bool) -> None:
    with steps("filtered") as server:
        assert fails(chat(server, stream=stream)).message == "its provider's filter withheld the answer"
    with steps("filtered") as server:
        assert fails(responses(server, stream=stream)).message == "its provider's filter withheld the answer"


def test_an_answer_that_was_cut_says_so(make: Make, stream: bool) -> None:
    with steps("cut") as server:
        assert ask(make(server, stream=stream)).cut


def test_tokens_that_ran_out_before_anything_was_said_are_no_answer(make: Make, stream: bool) -> None:
    with provider(lambda _schema, _told: "", "cut") as server:
        assert fails(make(server, stream=stream)).message == "it had used up its tokens before it said anything"


@pytest.mark.parametrize("step", ["no usage", "debit"])
def test_a_bill_that_is_missing_or_absurd_is_none(make: Make, stream: bool, step: str) -> None:
    with steps(step) as server:
        assert ask(make(server, stream=stream)).usage is None


def test_an_answer_without_end_is_given_up(make: Make, stream: bool) -> None:
    with steps("endless") as server:
        error = fails(make(server, stream=stream), 30)
    assert "is longer than" in error.message
    assert not error.retry


def test_a_redirect_carries_nothing_to_anybody(make: Make, stream: bool) -> None:
    with answering() as other, steps("307") as server:
        server.elsewhere = other.url(server.requests[0][0] if server.requests else "/v1/messages")
        fails(make(server, stream=stream))
        assert other.requests == []


def test_packed_answers_are_not_unpacked(make: Make, stream: bool) -> None:
    with steps("packed") as server:
        error = fails(make(server, stream=stream))
        ((_, headers, _),) = server.requests
    assert error.message.startswith(("its answer", "the connection failed"))
    assert headers["accept-encoding"] == "identity"


def test_nobody_there_is_nothing_to_pay_for(make: Make, stream: bool) -> None:
    with answering() as server:
        client = make(server, stream=stream)
    error = fails(client)
    assert error.message == "the connection failed (ConnectError)"
    assert error.usage == Usage(0, 0)


def test_another_address_gets_no_header_that_is_meant_for_the_provider(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "OPENAI_API_KEY": "secret-1",
        "OPENAI_ORG_ID": "secret-2",
        "OPENAI_PROJECT_ID": "secret-3",
        "OPENAI_CUSTOM_HEADERS": "X-Gateway: secret-4\nAuthorization: Bearer secret-5",
        "ANTHROPIC_API_KEY": "secret-6",
        "ANTHROPIC_AUTH_TOKEN": "secret-7",
        "ANTHROPIC_CUSTOM_HEADERS": "X-Gateway: secret-8\nAuthorization: Bearer secret-9",
    }.items():
        monkeypatch.setenv(name, value)
    with answering() as server:
        ask(make(server, bare=True))
        ((_, headers, _),) = server.requests
        (text,) = server.texts
    assert "secret" not in text
    assert headers["authorization"] == "Bearer k"
    assert not [name for name in headers if name.startswith("x-")]


def test_an_address_is_told_without_its_password() -> None:
    assert origin("http://user:pass@127.0.0.1:11434/v1?x=y") == "http://127.0.0.1:11434"
    assert origin(None) == ""


@pytest.mark.parametrize(
    ("headers", "least", "most"),
    [
        ({"retry-after": "7"}, 7, 7),
        ({"retry-after": "0.5"}, 0.5, 0.5),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5, 1.5),
    ],
)
def test_when_to_ask_again_is_read_as_http_says_it(headers: dict[str, str], least: float, most: float) -> None:
    found = retry_after(headers)
    assert found is not None
    assert least <= found <= most


def test_when_to_ask_again_may_be_a_date() -> None:
    soon = datetime.now(UTC) + timedelta(seconds=100)
    found = retry_after({"retry-after": format_datetime(soon, usegmt=True)})
    assert found is not None
    assert 50 <= found <= 100
    assert retry_after({"retry-after": "Sun, 06 Nov 1994 08:49:37 GMT"}) == 0


@pytest.mark.parametrize("value", ["", "soon", "nan", "inf", "-3", "Mon, 99 Foo 2026"])
def test_what_cannot_be_read_is_not_guessed(value: str) -> None:
    assert retry_after({"retry-after": value}) is None
