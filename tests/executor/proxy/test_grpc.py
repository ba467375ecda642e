"""gRPC through the proxy: grpcio's own client and server, undisturbed and struck."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from hyperframe.frame import DataFrame, HeadersFrame, PingFrame, SettingsFrame

from executor.proxy import edges
from tests.executor.faults.net_kit import likely
from tests.executor.proxy.conftest import Managed
from tests.executor.proxy.grpc_kit import OTHER, UNARY, GrpcCaller, GrpcServer
from tests.executor.proxy.http2_raw import Raw
from tests.executor.proxy.servers import ANSWERS, Callee, get, read_answer, wait_until

MIB = 2**20


@pytest.fixture(scope="module")
def server() -> Iterator[GrpcServer]:
    made = GrpcServer()
    yield made
    made.end()


@pytest.fixture(scope="module")
def managed(server: GrpcServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Managed]:
    made = Managed(tmp_path_factory.mktemp("grpc"), server.port, grpc=True)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def caller() -> Iterator[GrpcCaller]:
    made = GrpcCaller("test")
    yield made
    made.end()


@pytest.fixture
def edge(managed: Managed, caller: GrpcCaller) -> Iterator[Managed]:
    """Well before, and well again afterwards."""
    assert caller.well(managed.grpc)
    yield managed
    managed.drop("m")
    wait_until(lambda: caller.well(managed.grpc))


def _put(managed: Managed, mark: str, **fault: object) -> None:
    managed.put("a->g", mark, **fault)


@pytest.fixture
def mark(edge: Managed, request: pytest.FixtureRequest) -> Iterator[str]:
    name = request.node.name
    yield name
    edge.drop(name)


def _calls(managed: Managed) -> int:
    return managed.counters("a->g")["calls"]


@pytest.mark.parametrize("way", ["Unary", "Down", "Up", "Chat"])
@pytest.mark.parametrize("size", [0, 5, 100_000])
def test_nothing_is_disturbed(edge: Managed, caller: GrpcCaller, way: str, size: int) -> None:
    before = _calls(edge)
    assert caller.well(edge.grpc, path=f"/demo.Echo/{way}", size=size, times=8, at_once=4)
    assert _calls(edge) - before == 8


def test_a_large_message_passes_both_ways(edge: Managed, caller: GrpcCaller) -> None:
    assert caller.well(edge.grpc, size=16 * MIB)
    assert caller.well(edge.grpc, size=4 * MIB, times=4, at_once=4)


def test_the_callees_own_errors_pass(edge: Managed, caller: GrpcCaller) -> None:
    said = caller.call(edge.grpc, path="/demo.Echo/Fail")
    assert (said["codes"], said["messages"]) == ({"NOT_FOUND": 1}, ["no café, 100 % sure"])


def test_the_callee_learns_that_a_caller_gave_up(edge: Managed, caller: GrpcCaller, server: GrpcServer) -> None:
    before = server.seen().get("given up", 0)
    assert caller.well(edge.grpc, path="/demo.Echo/Forever")
    wait_until(lambda: server.seen().get("given up", 0) == before + 1)
    assert caller.well(edge.grpc, path="/demo.Echo/Down", size=100_000)


def test_an_error_reaches_only_the_method_that_is_meant(
    edge: Managed, caller: GrpcCaller, server: GrpcServer, mark: str
) -> None:
    _put(edge, mark, kind="error", grpc_status="UNAVAILABLE", grpc_message="kein Café, 100 %\n☕", path=UNARY)
    before = server.seen()[UNARY]
    said = caller.call(edge.grpc, times=10)
    assert (said["codes"], said["messages"]) == ({"UNAVAILABLE": 10}, ["kein Café, 100 %\n☕"])
    assert server.seen()[UNARY] == before
    assert caller.well(edge.grpc, path=OTHER, times=10)
    assert caller.well(server.port, times=10), "a caller that goes past the proxy is hurt"
    edge.drop(mark)
    assert caller.well(edge.grpc, times=10)


def test_an_error_comes_as_often_as_asked(edge: Managed, caller: GrpcCaller, server: GrpcServer, mark: str) -> None:
    _put(edge, mark, kind="error", grpc_status="ABORTED", probability=0.3, path=UNARY)
    seen, before = server.seen()[UNARY], edge.counters("a->g")
    said = caller.call(edge.grpc, times=2000, at_once=8)
    struck = said["codes"].get("ABORTED", 0)
    assert said["codes"] == {"ABORTED": struck, "OK": 2000 - struck}
    assert likely(struck, 2000, 0.3), struck
    assert server.seen()[UNARY] - seen == 2000 - struck == said["right"]
    after = edge.counters("a->g")
    assert (after["calls"] - before["calls"], after["faulted"] - before["faulted"]) == (2000, struck)
    assert after["connections"] == before["connections"], "the calls were not all on one connection"


@pytest.mark.parametrize("name", ["CANCELLED", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "INTERNAL", "UNAUTHENTICATED"])
def test_every_status_arrives(edge: Managed, caller: GrpcCaller, mark: str, name: str) -> None:
    _put(edge, mark, kind="error", grpc_status=name)
    assert caller.call(edge.grpc)["codes"] == {name: 1}


@pytest.mark.parametrize(("status", "seen_as"), [(503, "UNAVAILABLE"), (500, "UNKNOWN"), (404, "UNIMPLEMENTED")])
def test_a_status_of_http_is_made_one_of_grpc_by_the_caller(
    edge: Managed, caller: GrpcCaller, mark: str, status: int, seen_as: str
) -> None:
    _put(edge, mark, kind="error", status=status)
    assert caller.call(edge.grpc)["codes"] == {seen_as: 1}


def test_what_a_struck_call_sends_takes_no_room_from_others(edge: Managed, caller: GrpcCaller, mark: str) -> None:
    """Each sends more than fits into the whole connection's first room for data."""
    before = edge.counters("a->g")["connections"]
    for kind, timeout_s in (("error", 20.0), ("hang", 0.1)):
        how = {"grpc_status": "INTERNAL"} if kind == "error" else {}
        _put(edge, f"{mark}-{kind}", kind=kind, path="/demo.Echo/*", **how)
        for way in ("Up", "Unary", "Chat"):
            said = caller.call(edge.grpc, path=f"/demo.Echo/{way}", size=MIB, times=10, timeout_s=timeout_s)
            assert said["codes"] == {"INTERNAL" if kind == "error" else "DEADLINE_EXCEEDED": 10}
        assert caller.well(edge.grpc, path=OTHER, size=MIB, times=3)
        edge.drop(f"{mark}-{kind}")
        assert caller.well(edge.grpc, path="/demo.Echo/Up", size=MIB)
    assert edge.counters("a->g")["connections"] == before


def test_a_delayed_call_holds_up_no_other(edge: Managed, caller: GrpcCaller, mark: str) -> None:
    other = GrpcCaller("other")
    try:
        _put(edge, mark, kind="delay", delay_ms=400, path="/demo.Echo/*")
        caller.begin(edge.grpc, path="/demo.Echo/Chat", size=10_000, times=3, at_once=3)
        assert other.well(edge.grpc, path=OTHER)
        late = caller.answer()
        assert (late["codes"], late["right"]) == ({"OK": 3}, 3)
        assert late["least_s"] >= 0.4
        swift = caller.call(edge.grpc, path=OTHER)
        assert swift["most_s"] < late["least_s"]
    finally:
        other.end()


def test_what_was_held_goes_on_when_the_fault_ends(edge: Managed, caller: GrpcCaller, mark: str) -> None:
    _put(edge, mark, kind="delay", delay_ms=600_000, path=UNARY)
    before = _calls(edge)
    caller.begin(edge.grpc, times=2, at_once=2, size=MIB)
    wait_until(lambda: _calls(edge) == before + 2)
    edge.drop(mark)
    held = caller.answer()
    assert (held["codes"], held["right"]) == ({"OK": 2}, 2)


def test_a_delayed_call_is_overtaken_on_its_own_connection(edge: Managed, mark: str) -> None:
    """The callee may only be given growing numbers, so it sees the two in the other order."""
    _put(edge, mark, kind="delay", delay_ms=600_000, path=UNARY)
    with Raw(edge.grpc) as raw:
        raw.send(raw.call(1), DataFrame(1, b"\0\0\0\0\5first", flags=["END_STREAM"]))
        raw.send(raw.call(3, OTHER), DataFrame(3, b"\0\0\0\0\6second", flags=["END_STREAM"]))
        swift = raw.until(DataFrame)
        assert (swift.stream_id, swift.data[5:]) == (3, b"second")
        edge.drop(mark)
        late = raw.until(DataFrame)
        assert (late.stream_id, late.data[5:]) == (1, b"first")


def test_a_caller_that_keeps_no_headers_is_sent_none_to_keep(edge: Managed, mark: str) -> None:
    _put(edge, mark, kind="error", grpc_status="ABORTED", path=OTHER)
    with Raw(edge.grpc, {SettingsFrame.HEADER_TABLE_SIZE: 0}) as raw:
        raw.decoder.max_allowed_table_size = 0
        for number in range(1, 21, 4):
            raw.send(raw.call(number, OTHER), raw.call(number + 2))
            raw.send(DataFrame(number + 2, b"\0\0\0\0\1x", flags=["END_STREAM"]))
            statuses = []
            while len(statuses) < 2:
                fields = dict(raw.decoder.decode(raw.until(HeadersFrame).data))
                statuses += [fields["grpc-status"]] if "grpc-status" in fields else []
            assert sorted(statuses) == ["0", "10"]


def test_a_call_that_hangs_is_never_seen_by_the_callee(
    edge: Managed, caller: GrpcCaller, server: GrpcServer, mark: str
) -> None:
    _put(edge, mark, kind="hang", path=UNARY)
    before = server.seen()[UNARY]
    assert caller.call(edge.grpc, timeout_s=0.3)["codes"] == {"DEADLINE_EXCEEDED": 1}
    assert caller.well(edge.grpc, path=OTHER)
    calls = _calls(edge)
    caller.begin(edge.grpc, timeout_s=60)
    wait_until(lambda: _calls(edge) > calls)
    edge.drop(mark)
    assert caller.answer()["codes"] == {"UNAVAILABLE": 1}
    assert server.seen()[UNARY] == before


@pytest.mark.parametrize("way", ["Unary", "Down", "Chat", "Forever"])
def test_an_answer_stands_still_and_holds_up_no_other(
    edge: Managed, caller: GrpcCaller, server: GrpcServer, mark: str, way: str
) -> None:
    """More of it than fits into the connection's first room for data never reaches the caller."""
    path, before = f"/demo.Echo/{way}", server.seen()
    connections = edge.counters("a->g")["connections"]
    _put(edge, mark, kind="hang", path=path, after_bytes=10_000)
    said = caller.call(edge.grpc, path=path, size=100_000, times=5, timeout_s=0.3)
    assert said["codes"] == {"DEADLINE_EXCEEDED": 5}
    assert server.seen()[path] == before.get(path, 0) + 5, "the callee is asked"
    assert caller.well(edge.grpc, path=OTHER, size=MIB, times=3)
    if way == "Forever":
        wait_until(lambda: server.seen()["given up"] == before.get("given up", 0) + 5)
    assert edge.counters("a->g")["connections"] == connections
    calls = _calls(edge)
    caller.begin(edge.grpc, path=path, size=100_000, timeout_s=60)
    wait_until(lambda: _calls(edge) > calls and server.seen()[path] == before.get(path, 0) + 6)
    edge.drop(mark)
    said = caller.answer()
    assert said["codes"] == {"UNAVAILABLE": 1}
    assert said["messages"] == ["the fault that held this call has ended"]
    assert caller.well(edge.grpc, path="/demo.Echo/Down", size=100_000)
    assert edge.counters("a->g")["connections"] == connections


def test_an_answer_stands_still_after_exactly_so_many_bytes(edge: Managed, mark: str) -> None:
    _put(edge, mark, kind="hang", path=UNARY, after_bytes=7)
    with Raw(edge.grpc) as raw:
        for stream, message in ((1, b"struck"), (3, b"ok")):
            framed = bytes([0, 0, 0, 0, len(message)]) + message
            raw.send(raw.call(stream), DataFrame(stream, framed, flags=["END_STREAM"]))
        given, ended = {1: b"", 3: b""}, set[int]()
        while 3 not in ended or len(given[1]) < 7:
            frame = raw.frame()
            if isinstance(frame, DataFrame):
                given[frame.stream_id] += frame.data
            ended |= {frame.stream_id} if "END_STREAM" in frame.flags else set()
        assert (given[1], given[3]) == (b"\0\0\0\0\6st", b"\0\0\0\0\2ok")
        assert 1 not in ended
        edge.drop(mark)
        last = raw.until(HeadersFrame)
        assert (last.stream_id, "END_STREAM" in last.flags) == (1, True)


def test_a_callee_that_is_gone_ends_an_answer_that_stands_still(tmp_path: Path) -> None:
    server, caller = GrpcServer(), GrpcCaller("still")
    managed = Managed(tmp_path, server.port, grpc=True)
    try:
        _put(managed, "m", kind="hang", after_bytes=10)
        caller.begin(managed.grpc, path="/demo.Echo/Forever", timeout_s=60)
        wait_until(lambda: server.seen().get("/demo.Echo/Forever"))
        server.process.kill()
        assert caller.answer()["codes"] == {"UNAVAILABLE": 1}
    finally:
        managed.stop()
        for one in (caller, server):
            one.end()


@pytest.mark.parametrize(
    "fault",
    [{"kind": "reset"}, {"kind": "reset", "after_bytes": 2000}, {"kind": "refuse"}],
    ids=lambda fault: "-".join(map(str, fault.values())),
)
def test_a_cut_connection_is_unavailable(edge: Managed, caller: GrpcCaller, mark: str, fault: dict) -> None:
    _put(edge, mark, **fault)
    assert caller.call(edge.grpc, size=10_000)["codes"] == {"UNAVAILABLE": 1}


def test_a_reset_after_so_many_bytes_lets_shorter_answers_through(edge: Managed, caller: GrpcCaller, mark: str) -> None:
    _put(edge, mark, kind="reset", after_bytes=2000)
    assert caller.well(edge.grpc, size=100, times=40), "the answers of several calls were added up"


def test_a_black_hole_swallows_calls(edge: Managed, caller: GrpcCaller, mark: str) -> None:
    _put(edge, mark, kind="blackhole")
    before = _calls(edge)
    assert caller.call(edge.grpc, timeout_s=0.3)["codes"] == {"DEADLINE_EXCEEDED": 1}
    wait_until(lambda: _calls(edge) > before)  # the caller may give up first


def test_a_black_hole_silences_an_answer_under_way(tmp_path: Path) -> None:
    server, caller = GrpcServer(), GrpcCaller("silent")
    managed = Managed(tmp_path, server.port, grpc=True)
    try:
        caller.begin(managed.grpc, path="/demo.Echo/Wait", timeout_s=1)
        wait_until(lambda: server.seen().get("/demo.Echo/Wait"))
        _put(managed, "m", kind="blackhole")
        server.say("go")
        assert caller.answer()["codes"] == {"DEADLINE_EXCEEDED": 1}
        managed.drop("m")
        wait_until(lambda: caller.well(managed.grpc))
    finally:
        managed.stop()
        for one in (caller, server):
            one.end()


def test_a_callee_that_leaves_sees_its_calls_to_their_end(tmp_path: Path) -> None:
    """It says GOAWAY, and then answers what it has taken."""
    server, caller = GrpcServer(), GrpcCaller("last")
    managed = Managed(tmp_path, server.port, grpc=True)
    try:
        caller.begin(managed.grpc, path="/demo.Echo/Wait", times=3, at_once=3)
        wait_until(lambda: server.seen().get("/demo.Echo/Wait") == 3)
        server.say("stop")
        server.say("go")
        said = caller.answer()
        assert (said["codes"], said["right"]) == ({"OK": 3}, 3)
        assert caller.call(managed.grpc)["codes"] == {"UNAVAILABLE": 1}
    finally:
        managed.stop()
        for one in (caller, server):
            one.end()


def test_with_the_proxy_its_faults_are_gone(server: GrpcServer, tmp_path: Path) -> None:
    managed, caller = Managed(tmp_path, server.port, grpc=True), GrpcCaller("after")
    try:
        _put(managed, "m", kind="error", grpc_status="INTERNAL")
        assert caller.call(managed.grpc)["codes"] == {"INTERNAL": 1}
        managed.process.kill()
        managed.process.wait()
        assert caller.call(managed.grpc)["codes"] == {"UNAVAILABLE": 1}
        managed.start()
        wait_until(lambda: caller.well(managed.grpc))
    finally:
        managed.stop()
        caller.end()


@pytest.mark.parametrize(
    ("edge_name", "fault", "why"),
    [
        ("a->b", {"kind": "error", "grpc_status": "UNAVAILABLE"}, "grpc_status UNAVAILABLE needs an edge that speaks"),
        ("a->c", {"kind": "error", "grpc_status": "UNAVAILABLE"}, "grpc_status UNAVAILABLE needs an edge that speaks"),
        ("a->g", {"kind": "error", "grpc_status": "OK"}, "grpc_status must be one of"),
        ("a->g", {"kind": "error", "grpc_status": "ABORTED", "method": "GET"}, "every gRPC call is a POST"),
        ("a->g", {"kind": "bit_flip"}, "bit_flip needs an edge that speaks http, not grpc"),
        ("a->g", {"kind": "delay_statement", "delay_ms": 5}, "needs an edge to a database"),
    ],
)
def test_what_does_not_fit_the_edge_is_refused(managed: Managed, edge_name: str, fault: dict, why: str) -> None:
    with pytest.raises(edges.ProxyRefusedError, match=why):
        managed.put(edge_name, **fault)


def test_what_is_not_http2_is_passed_on_and_said_once(tmp_path: Path, callee: Callee) -> None:
    managed = Managed(tmp_path, callee.port, grpc=True)
    try:
        _put(managed, "m", kind="error", grpc_status="UNAVAILABLE")
        for _ in range(2):
            with socket.create_connection(("127.0.0.1", managed.grpc), timeout=20) as one:
                one.sendall(get("/plain"))
                assert read_answer(one) == ANSWERS[b"/plain"]
            with socket.create_connection(("127.0.0.1", managed.grpc), timeout=20) as one:
                hello = b"\x16\x03\x01\x00\x05hello"
                one.sendall(hello)
                assert one.recv(100) == hello
        log = managed.log.read_text()
        assert log.count("speaks HTTP/1, not cleartext grpc") == 1
        assert log.count("speaks TLS, not cleartext grpc") == 1
    finally:
        managed.stop()


def test_pings_are_answered_by_the_callee_alone(server: GrpcServer, managed: Managed) -> None:
    """Else a caller's keepalive would find a callee well that stands still."""
    with Raw(managed.grpc) as one:
        one.send(PingFrame(opaque_data=b"first on"))
        one.until(PingFrame)
        server.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, server.process.pid, os.WSTOPPED)
        try:
            one.send(PingFrame(opaque_data=b"secondly"))
            one.socket.settimeout(0.3)
            with pytest.raises(TimeoutError):
                one.until(PingFrame)
        finally:
            server.process.send_signal(signal.SIGCONT)
        one.socket.settimeout(20)
        assert one.until(PingFrame).opaque_data == b"secondly"
