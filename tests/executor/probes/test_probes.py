"""Probes against real sockets, and the hosts that they may reach."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from pydantic import ValidationError

from executor.errors import InputError, SafetyRefusalError
from executor.model.probe import HttpProbe, Probe, TcpProbe
from executor.model.system import Dependency, ProcessInstance, Service, System
from executor.probes.ask import ask, open_client
from executor.probes.hosts import allowed_hosts, host_of, refuse_foreign
from executor.probes.http import BODY_BYTES_MAX


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def server(answer: bytes, *, keep: bool = False, heard: list[bytes] | None = None) -> AsyncIterator[int]:
    """Sends one answer to whatever it is asked; with ``keep`` it never closes."""
    done = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            if heard is not None:
                heard.append(head + (await reader.read(2000) if b"content-length" in head.lower() else b""))
            writer.write(answer)
            await writer.drain()
            if keep:
                await done.wait()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        done.set()
        listening.close()


def http(status: str, body: bytes = b"hello", *headers: str) -> bytes:
    head = "\r\n".join([f"HTTP/1.1 {status}", f"content-length: {len(body)}", "connection: close", *headers])
    return head.encode() + b"\r\n\r\n" + body


async def asked(probe: Probe) -> tuple[bool, int | None, str]:
    async with open_client() as client:
        answer = await ask(probe, client)
    assert answer.latency_ms >= 0
    return answer.ok, answer.status, answer.error


@pytest.mark.anyio
async def test_each_asking_is_a_new_users_and_brings_no_cookie() -> None:
    """A balancer's would lead all of them to one instance, and a service's would be sent to others on its host."""
    heard: list[bytes] = []
    gives = server(http("200 OK", b"", "set-cookie: SERVERID=one; Path=/"), heard=heard)
    async with gives as first, server(http("200 OK"), heard=heard) as second, open_client() as client:
        for port in (first, first, second):
            assert (await ask(HttpProbe(url=f"http://127.0.0.1:{port}/"), client)).ok
    assert len(heard) == 3
    assert not any(b"SERVERID" in head for head in heard)


@pytest.mark.anyio
async def test_status_and_text_decide() -> None:
    async with server(http("200 OK")) as port:
        url = f"http://127.0.0.1:{port}/"
        assert await asked(HttpProbe(url=url)) == (True, 200, "")
        assert await asked(HttpProbe(url=url, expect_text="ell")) == (True, 200, "")
        assert await asked(HttpProbe(url=url, expect_text="bye")) == (False, 200, "the body lacks 'bye'")
        assert await asked(HttpProbe(url=url, expect_status=(204,))) == (False, 200, "status 200")
    async with server(http("503 Service Unavailable")) as port:
        assert await asked(HttpProbe(url=f"http://127.0.0.1:{port}/")) == (False, 503, "status 503")


FIRING = (
    b'[{"annotations":{},"endsAt":"2026-11-30T04:24:13.829Z","fingerprint":"9b6fb955d040c587","receivers":[{"name":"none"}],'
    b'"startsAt":"2026-11-30T04:19:13.829Z","status":{"inhibitedBy":[],"silencedBy":[],"state":"active"},'
    b'"updatedAt":"2026-11-30T04:19:13.829Z","labels":{"alertname":"OrdersDown","service":"orders"}}]'
)
"""What Alertmanager 0.25 answers for ``/api/v2/alerts`` while an alert fires; ``[]`` while none does."""


@pytest.mark.anyio
async def test_an_alert_that_fires_is_told_from_none() -> None:
    """A list with an alert in it holds ``[]``, too: only what it must not hold tells."""
    probe = {"expect_no_text": '"fingerprint"'}
    async with server(http("200 OK", b"[]\n")) as port:
        assert await asked(HttpProbe(url=f"http://127.0.0.1:{port}/api/v2/alerts", **probe)) == (True, 200, "")
    async with server(http("200 OK", FIRING)) as port:
        url = f"http://127.0.0.1:{port}/api/v2/alerts"
        assert (await asked(HttpProbe(url=url, expect_text="[]")))[0], "which would call it well"
        assert await asked(HttpProbe(url=url, **probe)) == (False, 200, "the body holds '\"fingerprint\"'")
        assert not (await asked(HttpProbe(url=url, expect_text="[]", **probe)))[0]
    async with server(http("503 Service Unavailable", b"[]")) as port:
        url = f"http://127.0.0.1:{port}/api/v2/alerts"
        assert await asked(HttpProbe(url=url, **probe)) == (False, 503, "status 503")


@pytest.mark.anyio
async def test_what_was_not_read_whole_is_not_said_to_lack_a_text() -> None:
    async with server(http("200 OK", b"x" * BODY_BYTES_MAX + b"alert")) as port:
        ok, _, why = await asked(HttpProbe(url=f"http://127.0.0.1:{port}/", expect_no_text="alert"))
    assert (ok, why) == (False, "the body is too long to say that it lacks a text")


def test_a_probe_that_expects_no_lack_is_written_as_ever() -> None:
    """So plans and systems that were signed before keep their digests."""
    assert "expect_no_text" not in HttpProbe(url="http://127.0.0.1:1/").model_dump(mode="json")
    lacking = HttpProbe(url="http://127.0.0.1:1/", expect_no_text="alert")
    assert HttpProbe.model_validate(lacking.model_dump(mode="json")) == lacking


@pytest.mark.parametrize("header", ["Authorization", "X-Api-Key", "Set-Cookie", "x served by"])
def test_who_answered_is_no_secret_and_no_other_text(header: str) -> None:
    with pytest.raises(ValidationError):
        HttpProbe(url="http://127.0.0.1:1/", answered_by=header)


@pytest.mark.anyio
async def test_who_answered_is_told_by_a_header_if_it_names_one() -> None:
    async with server(http("503 Busy", b"", "x-served-by: front-2")) as port:
        url = f"http://127.0.0.1:{port}/"
        for header, by in (("X-Served-By", "front-2"), ("X-Other", ""), (None, "")):
            async with open_client() as client:
                assert (await ask(HttpProbe(url=url, answered_by=header), client)).by == by


@pytest.mark.anyio
async def test_the_body_is_sent_as_it_is_written() -> None:
    heard: list[bytes] = []
    async with server(http("200 OK"), heard=heard) as port:
        probe = HttpProbe(url=f"http://127.0.0.1:{port}/order", method="POST", json_body='{"a": 1}')
        assert await asked(probe) == (True, 200, "")
    assert heard[0].startswith(b"POST /order HTTP/1.1")
    assert b"content-type: application/json" in heard[0].lower()
    assert heard[0].endswith(b'{"a": 1}')


@pytest.mark.anyio
async def test_what_is_cut_off_or_malformed_is_bad() -> None:
    cut = http("200 OK", b"hello")[:-3]
    for answer, name in ((cut, "RemoteProtocolError"), (b"nonsense\r\n\r\n", "RemoteProtocolError"), (b"", "Remote")):
        async with server(answer) as port:
            ok, _, error = await asked(HttpProbe(url=f"http://127.0.0.1:{port}/"))
            assert not ok
            assert name in error


@pytest.mark.anyio
async def test_a_malformed_answer_is_not_quoted() -> None:
    async with server(b"HTTP/1.1 200 OK\r\ncanary-7d2f \0 is no header\r\n\r\n") as port:
        ok, _, error = await asked(HttpProbe(url=f"http://127.0.0.1:{port}/"))
    assert not ok
    assert "illegal header line" in error
    assert "canary" not in error


@pytest.mark.anyio
async def test_silence_ends_with_the_probes_own_time_out() -> None:
    async with server(b"", keep=True) as port:
        outcome = await asked(HttpProbe(url=f"http://127.0.0.1:{port}/", timeout_ms=150))
        assert outcome == (False, None, "no answer within 150 ms")


@pytest.mark.anyio
async def test_redirects_are_not_followed() -> None:
    async with server(http("302 Found", b"", "location: http://192.0.2.1/")) as port:
        assert await asked(HttpProbe(url=f"http://127.0.0.1:{port}/")) == (False, 302, "status 302")


@pytest.mark.anyio
async def test_a_huge_body_is_not_kept() -> None:
    body = b"x" * (BODY_BYTES_MAX + 1000) + b"end"
    async with server(http("200 OK", body)) as port:
        url = f"http://127.0.0.1:{port}/"
        assert (await asked(HttpProbe(url=url)))[0]
        assert not (await asked(HttpProbe(url=url, expect_text="end")))[0]


@pytest.mark.anyio
async def test_a_connection_is_accepted_or_not() -> None:
    async with server(b"") as port:
        assert await asked(TcpProbe(port=port)) == (True, None, "")
    ok, _, error = await asked(TcpProbe(port=1))
    assert not ok
    assert error


@pytest.mark.anyio
async def test_the_environments_proxy_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    async with server(http("200 OK")) as port:
        assert (await asked(HttpProbe(url=f"http://127.0.0.1:{port}/")))[0]


@pytest.mark.anyio
async def test_asking_refuses_a_foreign_host() -> None:
    async with open_client() as client:
        with pytest.raises(SafetyRefusalError):
            await ask(HttpProbe(url="http://192.0.2.1/"), client)


@pytest.mark.parametrize("url", ["http://127.0.0.1:80/", "http://localhost/", "http://[::1]/", "http://127.9.9.9/"])
def test_loopback_needs_no_naming(url: str) -> None:
    refuse_foreign(HttpProbe(url=url), frozenset())


@pytest.mark.parametrize(
    "url",
    [
        "http://192.0.2.1/",
        "http://127.0.0.1.example/",
        "http://[::ffff:192.0.2.1]/",
        "http://0.0.0.0/",
        "http://2130706433/",
        "http://localhost.example/",
    ],
)
def test_what_only_looks_like_loopback_is_refused(url: str) -> None:
    with pytest.raises(SafetyRefusalError):
        refuse_foreign(HttpProbe(url=url), frozenset())


def test_link_local_is_refused_even_if_named() -> None:
    for host in ("169.254.169.254", "[fe80::1]", "[::ffff:169.254.169.254]"):
        with pytest.raises(SafetyRefusalError):
            refuse_foreign(HttpProbe(url=f"http://{host}/"), frozenset({host.strip("[]")}))


def test_hosts_that_the_system_names_are_allowed() -> None:
    service = Service(
        name="front",
        instances=(ProcessInstance(id="front-1", port=80),),
        health=HttpProbe(url="http://Front.Example:80/health"),
    )
    other = Service(name="base")
    edge = Dependency(caller="front", callee="base", host="10.0.0.7")
    hosts = allowed_hosts(System(name="s", services=(service, other), dependencies=(edge,)))
    assert hosts == {"front.example", "10.0.0.7"}
    refuse_foreign(HttpProbe(url="http://front.example/x"), hosts)
    refuse_foreign(TcpProbe(host="10.0.0.7", port=1), hosts)


def test_an_address_without_a_host_is_refused() -> None:
    for url in ("http://:80/", "http://127.0.0.1\\@x/", "http://[1/"):
        with pytest.raises((InputError, ValidationError)):
            host_of(HttpProbe(url=url))


@pytest.mark.parametrize(
    "url", ["http://me:secret@127.0.0.1/", "http://127.0.0.1@192.0.2.1/", "http://secret@host", "https://a:b@host?x=1"]
)
def test_an_address_with_a_password_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="user or password") as refused:
        HttpProbe(url=url)
    assert "secret" not in str(refused.value.errors(include_url=False, include_input=False))
    assert HttpProbe(url="http://host/path?to=me@example.org").url
