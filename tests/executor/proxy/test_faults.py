"""Each fault of the proxy on real connections: new ones, those that stand already, and those under way."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

import pytest

from executor.proxy import edges
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


def _ask(one: socket.socket, request: bytes) -> bytes:
    one.sendall(request)
    return read_answer(one)


def test_error_reaches_only_what_matches(proxy: Managed, callee: Callee, dial: Dial) -> None:
    proxy.put(kind="error", status=404, method="POST", path="/items/*")
    one = dial(proxy.http)
    assert status(_ask(one, get("/items/1"))) == 200
    assert status(_ask(one, get("/items/1?x=/y", method="POST", body=b"abc"))) == 404
    assert status(_ask(one, get("/item/1", method="POST", body=b"abc"))) == 200
    assert callee.requests == 2
    assert proxy.counters() == {"ok": True, "calls": 3, "connections": 1, "faulted": 1}


def test_what_each_mark_met_and_struck_is_told_apart(proxy: Managed, dial: Dial) -> None:
    proxy.put(kind="error", status=500, probability=0.3, path="/plain", seed=5, mark="some")
    proxy.put(kind="delay", delay_ms=5, mark="late")
    one = dial(proxy.http)
    answers = [status(_ask(one, get("/plain"))) for _ in range(40)] + [status(_ask(one, get("/html")))]
    (some,) = edges.tally(proxy.control, "some").values()
    assert (some["of"], some["met"], some["struck"], some["waits"]) == ("requests", 40, answers.count(500), 0)
    assert 0 < some["struck"] < 40
    (late,) = edges.tally(proxy.control, "late").values()
    assert (late["met"], late["struck"], late["waits"]) == (41, 41, 41)
    assert late["waited_s"] >= 41 * 0.005
    proxy.drop("late")
    assert edges.tally(proxy.control, "late") == {}


def test_error_keeps_the_connection_in_step(proxy: Managed, dial: Dial) -> None:
    proxy.put(kind="error", status=500, path="/bad")
    one = dial(proxy.http)
    one.sendall(get("/bad", method="POST", body=BIG) + get("/plain") + get("/bad", method="HEAD") + get("/html"))
    assert status(read_answer(one)) == 500
    assert read_answer(one) == ANSWERS[b"/plain"]
    head = read_answer(one, head_only=True)
    assert status(head) == 500
    assert head.endswith(b"\r\n\r\n")
    assert read_answer(one) == ANSWERS[b"/html"]


def test_error_after_a_go_ahead_and_to_an_old_caller(proxy: Managed, dial: Dial) -> None:
    proxy.put(kind="error", status=503)
    one = dial(proxy.http)
    one.sendall(get("/echo", "Expect: 100-continue", "Content-Length: 3", method="POST"))
    assert status(read_answer(one)) == 100
    one.sendall(b"abc")
    assert status(read_answer(one)) == 503
    old = dial(proxy.http)
    old.sendall(b"GET / HTTP/1.0\r\n\r\n")
    assert status(read_to_end(old)) == 503


def test_delay_is_as_long_as_asked_and_felt_by_open_connections(proxy: Managed, dial: Dial) -> None:
    for edge, port, said in (("a->b", proxy.http, get("/plain")), ("a->c", proxy.tcp, b"1 burst")):
        one = dial(port)
        one.sendall(said)
        one.recv(1 << 16)
        proxy.put(edge=edge, kind="delay", delay_ms=250, mark=edge)
        for used in (one, dial(port)):
            begun = time.monotonic()
            used.sendall(said)
            assert used.recv(1 << 16)
            assert time.monotonic() - begun >= 0.25


def test_each_burst_of_a_byte_protocol_is_delayed(proxy: Managed, dial: Dial) -> None:
    proxy.put(edge="a->c", kind="delay", delay_ms=200)
    one = dial(proxy.tcp)
    begun = time.monotonic()
    for number in range(3):
        one.sendall(b"%d" % number)
        assert one.recv(10) == b"%d" % number
    assert time.monotonic() - begun >= 0.6


def test_what_was_delayed_goes_on_when_the_fault_ends(proxy: Managed, callee: Callee, dial: Dial) -> None:
    for edge, port, said in (("a->b", proxy.http, get("/plain")), ("a->c", proxy.tcp, b"1 burst")):
        proxy.put(edge=edge, kind="delay", delay_ms=600_000, mark=edge)
        one = dial(port)
        one.sendall(said)
        wait_until(lambda edge=edge: proxy.counters(edge)["calls"])
        proxy.drop(edge)
        assert one.recv(1)


def test_hang_takes_the_request_and_says_nothing(proxy: Managed, callee: Callee, dial: Dial) -> None:
    one = dial(proxy.http)
    _ask(one, get("/plain"))
    proxy.put(kind="hang", path="/plain")
    assert status(_ask(dial(proxy.http), get("/html"))) == 200
    one.sendall(get("/plain"))
    one.settimeout(0.2)
    with pytest.raises(TimeoutError):
        one.recv(1)
    assert callee.requests == 2
    one.settimeout(20)
    proxy.drop()
    with pytest.raises(ConnectionResetError):
        one.recv(1)
    assert status(_ask(dial(proxy.http), get("/plain"))) == 200


@pytest.mark.parametrize(("path", "body"), [("/plain", b'{"tex'), ("/chunked", b"abcde"), ("/until-close", b"until")])
def test_hang_in_the_middle_of_an_answer(proxy: Managed, callee: Callee, dial: Dial, path: str, body: bytes) -> None:
    """What has passed is the beginning of the very answer, with exactly so much of its body."""
    proxy.put(kind="hang", path=path, after_bytes=5)
    one = dial(proxy.http)
    one.sendall(get(path))
    whole = ANSWERS[path.encode()]
    until = whole.index(body) + 5
    got = b""
    while len(got) < until:
        got += one.recv(until - len(got))
    one.settimeout(0.3)
    with pytest.raises(TimeoutError):
        got += one.recv(100)
        got += one.recv(100)
    assert whole.startswith(got)
    assert got.removeprefix(whole[:until]) in (b"", b"\r\n", b"\r\n1\r\n"), "more than the framing of chunks has passed"
    assert callee.requests == 1, "the callee is asked"
    one.settimeout(20)
    proxy.drop()
    with pytest.raises(ConnectionResetError):
        one.recv(1)
    assert status(_ask(dial(proxy.http), get("/plain"))) == 200


def test_an_answer_that_is_no_longer_than_what_passes_is_whole(proxy: Managed, dial: Dial) -> None:
    proxy.put(kind="hang", after_bytes=26)
    one = dial(proxy.http)
    assert _ask(one, get("/plain")) == ANSWERS[b"/plain"]
    assert _ask(one, get("/nothing")) == ANSWERS[b"/nothing"]
    one.sendall(get("/plain", method="HEAD"))
    assert status(read_answer(one, head_only=True)) == 200
    assert proxy.counters()["faulted"] == 3


def test_a_callee_whose_answer_stands_still_learns_that_the_caller_gave_up(
    proxy: Managed, callee: Callee, dial: Dial
) -> None:
    proxy.put(kind="hang", after_bytes=100_000)
    one = dial(proxy.http)
    one.sendall(get("/big"))
    got = 0
    while got < 100_000:
        got += len(one.recv(1 << 16))
    assert len(callee.open) == 1, "it still has the rest to give"
    one.close()
    wait_until(lambda: not callee.open)


def test_an_answer_may_be_damaged_and_stand_still(proxy: Managed, dial: Dial) -> None:
    proxy.put(kind="hang", after_bytes=3, mark="hang")
    for how, wanted in (("wrong_content_type", b"abc"), ("empty", b"")):
        proxy.put(kind=how)
        one = dial(proxy.http)
        one.sendall(get("/chunked"))
        one.settimeout(0.3)
        got = b""
        with pytest.raises(TimeoutError):
            while True:
                got += one.recv(100)
        head, _, body = got.partition(b"\r\n\r\n")
        assert (b"text/html" in head, b"Length: 0" in head) == (how != "empty", how == "empty")
        assert body.partition(b"\r\n")[2] == wanted


def test_bytes_that_cannot_be_read_stand_still_after_so_many_of_the_answers(proxy: Managed, dial: Dial) -> None:
    proxy.put(edge="a->c", kind="hang", after_bytes=6)
    one = dial(proxy.tcp)
    for said, wanted in ((b"1234", b"1234"), (b"5678", b"56")):
        one.sendall(said)
        got = b""
        while len(got) < len(wanted):
            got += one.recv(10)
        assert got == wanted
    one.settimeout(0.3)
    with pytest.raises(TimeoutError):
        one.recv(1)
    proxy.drop()
    one.settimeout(20)
    with pytest.raises(ConnectionResetError):
        one.recv(1)


def test_hang_with_a_path_leaves_what_is_no_request_alone(proxy: Managed, dial: Dial) -> None:
    proxy.put(kind="hang", path="/x")
    one = dial(proxy.http)
    one.sendall(b"\x16\x03 not http\r\n\r\n")
    assert one.recv(100)


def test_a_caller_that_gives_up_is_let_go(proxy: Managed, callee: Callee, dial: Dial) -> None:
    proxy.put(kind="blackhole")
    one = dial(proxy.http)
    one.sendall(get("/plain"))
    wait_until(lambda: proxy.counters()["calls"])
    one.close()
    assert callee.requests == 0
    wait_until(lambda: not callee.open)


def test_blackhole_silences_an_answer_under_way(proxy: Managed, callee: Callee, dial: Dial) -> None:
    for port in (proxy.http, proxy.tcp):
        callee.go.clear()
        one = dial(port)
        one.sendall(get("/slow"))
        got = b""
        while not got.endswith(b"half"):
            got += one.recv(100)
        edge, mark = ("a->b" if port == proxy.http else "a->c"), str(port)
        proxy.put(edge=edge, kind="blackhole", mark=mark)
        callee.go.set()
        one.settimeout(0.2)
        with pytest.raises(TimeoutError):
            one.recv(1)
        proxy.drop(mark)
        one.settimeout(20)
        with pytest.raises(ConnectionResetError):
            one.recv(1)


def test_refuse_resets_new_calls_and_those_under_way(proxy: Managed, callee: Callee, dial: Dial) -> None:
    for port in (proxy.http, proxy.tcp):
        one = dial(port)
        one.sendall(get("/slow"))
        assert one.recv(1)
        proxy.put(edge="a->b" if port == proxy.http else "a->c", kind="refuse", mark=str(port))
        with pytest.raises(ConnectionResetError):
            read_to_end(one)
        with pytest.raises(ConnectionError):
            new = dial(port)
            new.sendall(get("/plain"))
            assert new.recv(1) == b"never"
        proxy.drop(str(port))
        assert status(_ask(dial(port), get("/plain"))) == 200


def test_reset_strikes_the_next_request_of_an_open_connection(proxy: Managed, dial: Dial) -> None:
    one = dial(proxy.http)
    _ask(one, get("/plain"))
    proxy.put(kind="reset")
    one.sendall(get("/plain"))
    with pytest.raises(ConnectionResetError):
        one.recv(1)
    assert proxy.counters()["calls"] == 2


def test_reset_after_some_bytes_of_the_answer(proxy: Managed, dial: Dial) -> None:
    for edge, port in (("a->b", proxy.http), ("a->c", proxy.tcp)):
        proxy.put(edge=edge, kind="reset", after_bytes=50, mark=edge)
        one = dial(port)
        one.sendall(get("/plain"))
        got = b""
        try:
            while more := one.recv(10):
                got += more
        except ConnectionResetError:
            pass
        else:
            pytest.fail("the connection was not reset")
        assert ANSWERS[b"/plain"][:50].startswith(got)  # a reset may overtake what was sent before it


@pytest.mark.parametrize("path", ["/plain", "/chunked", "/until-close"])
@pytest.mark.parametrize("how", ["truncate", "bit_flip", "empty"])
def test_damage_in_every_framing(proxy: Managed, dial: Dial, path: str, how: str) -> None:
    whole = ANSWERS[path.encode()]
    proxy.put(kind=how)
    one = dial(proxy.http)
    one.sendall(get(path))
    one.shutdown(socket.SHUT_WR)
    got = read_to_end(one)
    head, _, body = got.partition(b"\r\n\r\n")
    assert status(got) == 200
    if how == "empty":
        assert body == b""
        assert b"Content-Length: 0" in head
    elif how == "truncate":
        assert len(got) < len(whole)
        assert whole.startswith(head)
    else:
        assert got != whole
        assert head == whole.partition(b"\r\n\r\n")[0]
        assert not whole.endswith(b"yes\r\n\r\n") or got.endswith(b"\r\n0\r\nX-Trailer: yes\r\n\r\n")


@pytest.mark.parametrize(
    ("sent", "what"),
    [
        (b"\x16\x03\x01\x00\x05hello", "TLS"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/2"),
        (b"GET / HTTP/1.1\r\nHost: here\r\nno header\r\n\r\n", "HTTP/1 that cannot be read"),
        (b"\x00\x01", "something else"),
    ],
)
def test_what_passes_unread_is_said_once(proxy: Managed, dial: Dial, sent: bytes, what: str) -> None:
    """No error or damage strikes it, however long the fault is in force."""
    proxy.put(kind="error")
    for _ in range(2):
        one = dial(proxy.http)
        one.sendall(sent)
        assert not one.recv(100).startswith(b"HTTP/1.1 503")
    assert proxy.log.read_text().count(f"a connection speaks {what}, not cleartext http") == 1
    assert proxy.counters()["faulted"] == 0


def test_damage_leaves_what_has_no_body_alone(proxy: Managed, dial: Dial) -> None:
    for how in ("truncate", "bit_flip", "empty"):
        proxy.put(kind=how, mark=how)
        one = dial(proxy.http)
        one.sendall(get("/nothing"))
        one.shutdown(socket.SHUT_WR)
        assert read_to_end(one) == ANSWERS[b"/nothing"]
        other = dial(proxy.http)
        other.sendall(get("/plain", method="HEAD"))
        assert read_answer(other, head_only=True) == ANSWERS[b"/plain"].partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        proxy.drop(how)


def test_an_early_hint_passes_before_a_damaged_answer(proxy: Managed, dial: Dial) -> None:
    proxy.put(kind="empty")
    one = dial(proxy.http)
    assert _ask(one, get("/hints")).startswith(b"HTTP/1.1 103 Early Hints\r\n")
    assert read_answer(one).endswith(b"\r\n\r\n")


def test_faults_of_several_marks_work_together(proxy: Managed, dial: Dial) -> None:
    proxy.put(kind="delay", delay_ms=200, mark="late")
    proxy.put(kind="error", status=500, mark="bad")
    begun = time.monotonic()
    assert status(_ask(dial(proxy.http), get("/plain"))) == 500
    assert time.monotonic() - begun >= 0.2


def test_the_chance_is_thrown_for_each_connection_on_a_byte_edge(proxy: Managed, dial: Dial) -> None:
    tries, probability = 200, 0.4
    proxy.put(edge="a->c", kind="reset", probability=probability, seed=7)
    struck = 0
    for _ in range(tries):
        with socket.create_connection(("127.0.0.1", proxy.tcp), timeout=20) as one:
            try:
                one.sendall(b"1")
                one.recv(1)
                one.sendall(b"2")
                one.recv(1)
            except ConnectionError:
                struck += 1
    assert abs(struck - tries * probability) < 4 * (tries * probability * (1 - probability)) ** 0.5
    assert proxy.counters("a->c")["faulted"] == struck


def test_the_same_seed_strikes_the_same_requests(proxy: Managed, dial: Dial) -> None:
    seen = []
    for mark in ("first", "second"):
        proxy.put(kind="error", status=500, probability=0.5, seed=11, mark=mark)
        one = dial(proxy.http)
        seen.append([status(_ask(one, get("/plain"))) for _ in range(30)])
        edges.drop(proxy.control, mark)
    assert seen[0] == seen[1]
    assert set(seen[0]) == {200, 500}
