"""Without faults the proxy changes no byte in either direction, whatever HTTP/1 or TCP is spoken."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest

from tests.executor.proxy.conftest import Managed
from tests.executor.proxy.servers import (
    ANSWERS,
    BIG,
    Callee,
    get,
    read_answer,
    read_to_end,
    status,
    wait_until,
)

Dial = Callable[[int], socket.socket]

_CHUNKED_BODY = b"3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nT: 1\r\n\r\n"
CONVERSATIONS = {
    **{path.decode(): get(path.decode(), "Connection: close") for path in ANSWERS},
    "post": get("/echo?q=1", "X-odd-CASE:  kept  ", method="POST", body=b"\x00binary\xff" * 9),
    "chunked request": b"POST /echo HTTP/1.1\r\nHost: a\r\ntransfer-encoding: chunked\r\n\r\n" + _CHUNKED_BODY,
    "head": get("/plain", method="HEAD"),
    "http/1.0": b"GET /plain HTTP/1.0\r\n\r\n",
    "pipelined": get("/plain") + get("/chunked") + get("/echo", method="PUT", body=b"abc") + get("/nothing"),
    "bare line ends": b"GET /plain HTTP/1.1\nHost: x\n\n",
    "not http": b"\x16\x03\x01 surely not a request \r\n\r\n",
    "http/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no host": b"GET /plain HTTP/1.1\r\n\r\n",
    "bad chunk": b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcXX",
    "upgrade": get("/upgrade", "Connection: Upgrade", "Upgrade: echo") + b"\x00spoken after\xff",
    "upgrade refused": get("/plain", "Connection: Upgrade", "Upgrade: echo") + get("/html"),
    "nothing at all": b"",
    "half a head": b"GET /plain HT",
    "half a body": b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc",
}


def _converse(dial: Dial, callee: Callee, port: int, said: bytes) -> tuple[bytes, bytes]:
    """What the caller gets and what the callee got, when the caller says its piece and half-closes."""
    before = len(callee.received)
    one = dial(port)
    one.sendall(said)
    one.shutdown(socket.SHUT_WR)
    got = read_to_end(one)
    wait_until(lambda: len(callee.received) > before)
    wait_until(lambda: not callee.open)
    return got, bytes(callee.received[-1])


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Callee, Managed]]:
    """One proxy for all conversations, since none leaves anything behind."""
    callee = Callee()
    managed = Managed(tmp_path_factory.mktemp("proxy"), callee.port)
    yield callee, managed
    managed.stop()
    callee.stop()


@pytest.mark.parametrize("kind", CONVERSATIONS)
@pytest.mark.parametrize("protocol", ["http", "tcp"])
def test_both_sides_see_what_they_would_see_without_the_proxy(
    untouched: tuple[Callee, Managed], dial: Dial, kind: str, protocol: str
) -> None:
    callee, proxy = untouched
    said = CONVERSATIONS[kind]
    direct = _converse(dial, callee, callee.port, said)
    assert _converse(dial, callee, getattr(proxy, protocol), said) == direct


def test_a_connection_is_kept_alive_for_many_requests(proxy: Managed, callee: Callee, dial: Dial) -> None:
    one = dial(proxy.http)
    for _ in range(20):
        one.sendall(get("/plain"))
        assert read_answer(one) == ANSWERS[b"/plain"]
    assert len(callee.received) == 1
    assert proxy.counters()["calls"] == 20


def test_a_large_body_passes_both_ways(proxy: Managed, dial: Dial) -> None:
    one = dial(proxy.http)
    for expect in ((), ("Expect: 100-continue",)):
        one.sendall(get("/echo", *expect, method="POST", body=BIG))
        answer = read_answer(one)
        if expect:
            assert status(answer) == 100
            answer = read_answer(one)
        assert answer.endswith(BIG)


def test_the_caller_waits_for_the_go_ahead(proxy: Managed, dial: Dial) -> None:
    one = dial(proxy.http)
    one.sendall(get("/echo", "Expect: 100-continue", "Content-Length: 3", method="POST"))
    assert status(read_answer(one)) == 100
    one.sendall(b"abc")
    assert read_answer(one).endswith(b"\r\n\r\nabc")


def test_an_answer_that_comes_before_the_body_is_passed_on(proxy: Managed, dial: Dial) -> None:
    one = dial(proxy.http)
    one.sendall(get("/early", "Content-Length: 1000000", method="POST"))
    assert status(read_answer(one)) == 413
    assert one.recv(1) == b""


def test_an_answer_streams_as_it_comes(proxy: Managed, callee: Callee, dial: Dial) -> None:
    one = dial(proxy.http)
    one.sendall(get("/slow"))
    got = b""
    while not got.endswith(b"half"):
        got += one.recv(100)
    callee.go.set()
    assert one.recv(100) == b"rest"


def test_a_caller_that_vanishes_is_noticed_by_the_callee(proxy: Managed, callee: Callee, dial: Dial) -> None:
    one = dial(proxy.http)
    one.sendall(get("/slow"))
    one.recv(1)
    one.close()
    callee.go.set()
    wait_until(lambda: not callee.open)


def test_a_dead_callee_is_felt_as_a_reset_and_the_call_is_counted(proxy: Managed, callee: Callee, dial: Dial) -> None:
    callee.stop()
    with pytest.raises(ConnectionError):
        one = dial(proxy.http)
        one.sendall(get("/plain"))
        assert one.recv(100) == b"never"
    assert proxy.counters()["calls"] == 1


def test_calls_on_a_byte_edge_are_bursts_after_an_answer(proxy: Managed, dial: Dial) -> None:
    one = dial(proxy.tcp)
    for number in range(5):
        one.sendall(b"%d" % number)
        assert one.recv(10) == b"%d" % number
    assert proxy.counters("a->c") == {"ok": True, "calls": 5, "connections": 1, "faulted": 0}
