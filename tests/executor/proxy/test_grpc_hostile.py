"""Whatever comes on one gRPC connection, the proxy lives, and the calls on another are answered."""

from __future__ import annotations

import random
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PushPromiseFrame,
    RstStreamFrame,
    WindowUpdateFrame,
)

from tests.executor.proxy.conftest import Managed
from tests.executor.proxy.grpc_kit import GrpcCaller, GrpcServer
from tests.executor.proxy.http2_raw import PREFACE, Raw
from tests.executor.proxy.servers import wait_until

SEEDS = 60


@pytest.fixture(scope="module")
def managed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Managed]:
    server = GrpcServer()
    made = Managed(tmp_path_factory.mktemp("grpc"), server.port, grpc=True)
    yield made
    made.stop()
    server.end()


@pytest.fixture
def bystander(managed: Managed) -> Iterator[GrpcCaller]:
    """Its connection stands before, during and after."""
    made = GrpcCaller("bystander")
    try:
        assert made.well(managed.grpc)
        connections = managed.counters("a->g")["connections"]
        yield made
        assert made.well(managed.grpc, times=20)
        assert managed.process.poll() is None
        # the others made one connection each, and the bystander none anew
        assert managed.counters("a->g")["connections"] <= connections + 1
    finally:
        made.end()
    assert "Traceback" not in managed.log.read_text()


def _raw(kind: int, flags: int, stream: int, payload: bytes, size: int | None = None) -> bytes:
    length = len(payload) if size is None else size
    return struct.pack("!I", length)[1:] + bytes([kind, flags]) + struct.pack("!I", stream) + payload


UNREADABLE: dict[str, tuple[Callable[[Raw], bytes], bytes]] = {
    "too large": (lambda _: _raw(0, 0, 1, b"", size=2**24 - 1), b"allowed"),
    "not unpacked": (lambda _: _raw(1, 4, 1, b"\xff\xff\xff\xff\xff\xff\xff\xff"), b"cannot be unpacked"),
    "index of nothing": (lambda _: _raw(1, 4, 1, b"\xfe"), b"cannot be unpacked"),
    "padding of nothing": (lambda _: _raw(1, 4 | 8, 1, b""), b"cannot be read"),
    "more padding than there is": (lambda _: _raw(1, 4 | 8, 1, b"\xffabc"), b"cannot be read"),
    "priority of nothing": (lambda _: _raw(1, 4 | 0x20, 1, b"\0"), b"cannot be read"),
    "headers for all": (lambda _: _raw(1, 4, 0, b""), b"cannot be read"),
    "a callee's number": (lambda raw: raw.call(2).serialize(), b"callee's number"),
    "goes on from nothing": (lambda _: ContinuationFrame(1, b"x").serialize(), b"never begun"),
    "broken off": (
        lambda _: HeadersFrame(1, b"").serialize() + DataFrame(1, b"x").serialize(),
        b"in the middle of a header block",
    ),
    "goes on for ever": (
        lambda _: HeadersFrame(1, b"").serialize() + ContinuationFrame(1, b"").serialize() * 100,
        b"does not end",
    ),
    "a bomb of headers": (
        lambda raw: HeadersFrame(
            1,
            raw.encoder.encode([("a", "b" * 4000)]) + b"\xbe" * 10_000,
            flags=["END_HEADERS"],
        ).serialize(),
        b"cannot be unpacked",
    ),
    "pushed by a caller": (lambda _: PushPromiseFrame(1, 2, b"").serialize(), b"pushed"),
    "data from nowhere": (lambda _: DataFrame(9, b"x").serialize(), b"never begun"),
    "an end of nothing": (lambda _: RstStreamFrame(9).serialize(), b"never begun"),
}


@pytest.mark.parametrize("case", UNREADABLE.values(), ids=UNREADABLE)
def test_what_cannot_be_read_ends_its_connection_with_the_reason(
    managed: Managed, bystander: GrpcCaller, case: tuple[Callable[[Raw], bytes], bytes]
) -> None:
    make, why = case
    with Raw(managed.grpc) as raw:
        raw.socket.sendall(make(raw))
        assert why in raw.refusal()


JUDGED: dict[str, Callable[[Raw], bytes]] = {
    "settings of no whole size": lambda _: _raw(4, 0, 0, b"1234567"),
    "settings of a stream": lambda _: _raw(4, 0, 1, b""),
    "a ping of no size": lambda _: _raw(6, 0, 0, b""),
    "room for nothing": lambda _: _raw(8, 0, 0, b"\0\0\0\0"),
    "more room than there can be": lambda _: WindowUpdateFrame(0, 2**31 - 1).serialize() * 3,
    "data for all": lambda _: _raw(0, 0, 0, b"x"),
    "a window that cannot be": lambda _: _raw(4, 0, 0, struct.pack("!HI", 4, 2**32 - 1)),
}


@pytest.mark.parametrize("make", JUDGED.values(), ids=JUDGED)
def test_what_only_the_callee_can_judge_reaches_it(
    managed: Managed, bystander: GrpcCaller, make: Callable[[Raw], bytes]
) -> None:
    with Raw(managed.grpc) as raw:
        raw.socket.sendall(make(raw))
        raw.send(PingFrame(opaque_data=b"and now?"))
        while not isinstance(raw.frame(), (PingFrame, type(None))):  # it goes on, or the callee has ended it
            pass


@pytest.mark.parametrize("kind", [99, 0xC8])
def test_frames_that_nobody_knows_do_no_harm(managed: Managed, bystander: GrpcCaller, kind: int) -> None:
    with Raw(managed.grpc) as raw:
        raw.send(raw.call(1))
        raw.socket.sendall(_raw(kind, 0xFF, 1, b"abc") + _raw(2, 0, 1, b"\0\0\0\0\1"))
        raw.send(DataFrame(1, b"\0\0\0\0\3abc", flags=["END_STREAM"]))
        assert raw.until(DataFrame).data == b"\0\0\0\0\3abc"


def test_more_than_there_is_room_for_is_refused(managed: Managed, bystander: GrpcCaller) -> None:
    """Held by a delay, nobody else would notice."""
    managed.put("a->g", "room", kind="delay", delay_ms=600_000, path="/demo.Held/Unary")
    try:
        with Raw(managed.grpc) as raw:
            raw.send(raw.call(1, "/demo.Held/Unary"))
            piece = DataFrame(1, b"x" * 16_384).serialize() * 64
            with pytest.raises(ConnectionError):
                for _ in range(200):
                    raw.socket.sendall(piece)
    finally:
        managed.drop("room")


def test_a_caller_that_only_sends_is_let_go(managed: Managed, bystander: GrpcCaller) -> None:
    with Raw(managed.grpc) as raw:
        raw.send(*(raw.call(number) for number in range(1, 201, 2)))
        raw.send(*(RstStreamFrame(number, 8) for number in range(1, 201, 2)))


@pytest.mark.parametrize("seed", range(SEEDS))
def test_random_frames(managed: Managed, seed: int) -> None:
    dice = random.Random(seed)
    with Raw(managed.grpc) as raw:
        data = raw.call(1).serialize() if dice.random() < 0.5 else b""
        for _ in range(30):
            payload = dice.randbytes(dice.choice((0, 1, 4, 5, 8, 9, 40, 400)))
            stream = dice.choice((0, 1, 1, 3, 2, 2**31 - 1, dice.randrange(2**32)))
            frame = _raw(
                dice.choice((*range(11), 200)), dice.choice((0, 1, 4, 5, 8, dice.randrange(256))), stream, payload
            )
            data += frame[: dice.choice((len(frame), len(frame), len(frame), dice.randrange(len(frame))))]
        try:
            raw.socket.sendall(data)
            raw.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        while _more(raw.socket):
            pass
    assert managed.process.poll() is None


def _more(one: socket.socket) -> bytes:
    try:
        return one.recv(65536)
    except ConnectionError:
        return b""


def test_after_random_frames_others_are_served(managed: Managed, bystander: GrpcCaller) -> None:
    assert bystander.well(managed.grpc, times=10)


SERVED = {
    "noise": b"\x99" * 100,
    "another protocol": b"220 hello\r\n",
    "a header block that cannot be unpacked": _raw(4, 0, 0, b"") + _raw(1, 4, 1, b"\xff\xff\xff\xff\xff"),
    "a frame that is too large": _raw(4, 0, 0, b"") + _raw(0, 0, 1, b"", size=2**24 - 1),
    "a push": _raw(4, 0, 0, b"") + _raw(5, 4, 1, b"\0\0\0\2"),
    "answers that nobody asked for": _raw(4, 0, 0, b"") + DataFrame(77, b"x" * 100).serialize() + _raw(7, 0, 0, b"\0"),
    "nothing": b"",
}


@pytest.mark.parametrize("said", SERVED.values(), ids=SERVED)
def test_a_callee_that_says_what_it_should_not(tmp_path: Path, said: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(20)
        over = threading.Event()

        def serve() -> None:
            while not over.is_set():
                one, _ = listening.accept()
                with one:
                    one.settimeout(20)
                    one.recv(len(PREFACE))
                    one.sendall(said)

        thread = threading.Thread(target=serve)
        thread.start()
        managed, caller = Managed(tmp_path, listening.getsockname()[1], grpc=True), GrpcCaller("unlucky")
        try:
            code = caller.call(managed.grpc, timeout_s=1)["codes"]
            assert set(code) <= {"UNAVAILABLE", "DEADLINE_EXCEEDED"}
            assert managed.process.poll() is None
            assert managed.counters("a->g")["ok"]
            assert "Traceback" not in managed.log.read_text()
        finally:
            over.set()
            socket.create_connection(listening.getsockname()).close()
            caller.end()
            managed.stop()
            thread.join()


def test_a_refused_stream_is_tried_again_elsewhere(managed: Managed, bystander: GrpcCaller) -> None:
    """The caller's own GOAWAY, and calls after it, end nothing for others."""
    with Raw(managed.grpc) as raw:
        raw.send(GoAwayFrame(error_code=0))
        raw.send(raw.call(1), DataFrame(1, b"\0\0\0\0\1a", flags=["END_STREAM"]))
        raw.socket.shutdown(socket.SHUT_WR)
        raw.ending()
    wait_until(lambda: bystander.well(managed.grpc))
