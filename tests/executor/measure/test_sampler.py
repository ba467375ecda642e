"""Open-loop sampling against real servers that answer, stall, refuse and come back."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise
from typing import Any

import anyio
import pytest

from executor.errors import SafetyRefusalError
from executor.measure.rolling import Rolling
from executor.measure.sampler import Sampler
from executor.model.evidence import Observation
from executor.model.probe import Check, DetectionSignal, HttpProbe
from executor.model.system import Dependency
from tests.executor.measure.serving import serving

RATE_HZ = 20.0


class Stallable:
    """A small HTTP server that can stand still."""

    def __init__(self) -> None:
        self.port = 0
        self.go = asyncio.Event()
        self.go.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await self.go.wait()
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def check(port: int, **fields: Any) -> Check:
    probe = HttpProbe(url=f"http://127.0.0.1:{port}/", timeout_ms=fields.pop("timeout_ms", 10_000))
    return Check(id="front", service="front", probe=probe, rate_hz=RATE_HZ, **fields)


async def until(condition: Any, within_s: float = 20.0) -> None:
    with anyio.fail_after(within_s):
        while not condition():
            await anyio.sleep(0.01)


@pytest.mark.anyio
async def test_a_stall_is_felt_by_every_asking_that_was_due_in_it() -> None:
    """No coordinated omission: a closed loop would have sent one request into the stall, and seen one slow answer."""
    seen: list[Observation] = []
    async with serving(Stallable()) as server:
        checks = [check(server.port, timeout_ms=6000)]
        sampler = Sampler(checks, [], [], time.monotonic(), "e1", seen.append, drain_s=20)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(sampler.run)
            await until(lambda: sampler.steady(0))
            begun_s = sampler.now_s()
            server.go.clear()
            await until(lambda: sampler.now_s() > begun_s + 4)
            assert sampler.age_s("front") > 2
            assert sampler.recent("front", 10) == [False] * 10  # overdue askings show before they time out
            assert not sampler.steady(begun_s)
            server.go.set()
            back_s = sampler.now_s()
            await until(lambda: sampler.steady(back_s))
            sampler.stop()
    in_stall = [o for o in seen if begun_s + 0.2 <= o.at_s < back_s - 0.2]
    assert len(in_stall) >= 0.9 * RATE_HZ * (back_s - begun_s - 0.4)
    for o in in_stall:
        assert o.ok
        assert o.latency_ms >= (back_s - o.at_s) * 1000 - 1  # from when it was meant to start, to the end of the stall
    slots = sorted(o.at_s for o in seen)
    assert all(abs(b - a - 1 / RATE_HZ) < 1e-6 for a, b in pairwise(slots))


@pytest.mark.anyio
async def test_what_is_outstanding_at_the_end_is_recorded_once() -> None:
    seen: list[Observation] = []
    async with serving(Stallable()) as server:
        server.go.clear()
        sampler = Sampler([check(server.port)], [], [], time.monotonic(), "e1", seen.append, drain_s=0.1)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(sampler.run)
            await until(lambda: sampler.now_s() > 0.5)
            sampler.stop()
        assert seen
        assert {o.error for o in seen} == {"unanswered"}
        assert len({o.at_s for o in seen}) == len(seen)


@pytest.mark.anyio
async def test_a_cancelled_sampler_records_what_it_awaited() -> None:
    seen: list[Observation] = []
    async with serving(Stallable()) as server:
        server.go.clear()
        sampler = Sampler([check(server.port)], [], [], time.monotonic(), "e1", seen.append)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(sampler.run)
            await until(lambda: sampler.now_s() > 0.5)
            tasks.cancel_scope.cancel()
        assert {o.error for o in seen} == {"unanswered"}


@pytest.mark.anyio
async def test_time_outs_and_refusals_are_bad_answers() -> None:
    seen: list[Observation] = []
    async with serving(Stallable()) as server:
        server.go.clear()
        signal = DetectionSignal(id="health", service="front", probe=HttpProbe(url="http://127.0.0.1:1/"))
        checks = [check(server.port, timeout_ms=200)]
        sampler = Sampler(checks, [signal], [], time.monotonic(), "e1", seen.append)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(sampler.run)
            await until(lambda: len({o.source for o in seen}) == 2 and len(sampler.recent("front", 5)) == 5)
            sampler.stop()
    errors = {o.source: o.error for o in seen if o.error != "unanswered"}
    assert errors["front"] == "no answer within 200 ms"
    assert "ConnectError" in errors["health"]
    assert not any(o.ok for o in seen)


@pytest.mark.anyio
async def test_edges_are_counted_beside_it() -> None:
    seen: list[Observation] = []
    edges = [
        Dependency(caller="front", callee="base", protocol="http"),
        Dependency(caller="front", callee="store", protocol="redis"),
    ]
    calls = iter(range(0, 10_000, 3))
    sampler = Sampler([], [], edges, time.monotonic(), "e1", seen.append, count_calls=lambda _edge: next(calls))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sampler.run)
        await until(lambda: len(seen) >= 8)
        sampler.stop()
    counted = [o.value for o in seen if o.source == "calls:front->base"]
    assert counted[:3] == [0, 3, 6]
    unknown = [o for o in seen if o.source == "calls:front->store"]
    assert unknown
    assert not any(o.ok for o in unknown)  # pools keep connections: they are no calls


def test_a_probe_that_would_leave_the_system_is_refused_before_anything_is_asked() -> None:
    foreign = Check(id="x", service="x", probe=HttpProbe(url="http://192.0.2.7/"))
    with pytest.raises(SafetyRefusalError, match="probe hosts"):
        Sampler([foreign], [], [], 0.0, "e1", lambda _: None)


def test_recent_stands_in_order_of_the_asking_and_counts_the_overdue() -> None:
    rolling = Rolling(0.0)
    for slot in range(6):
        rolling.expect(slot, slot / 10)
    rolling.settle(2, True, 0.35)
    rolling.settle(0, False, 0.4)
    rolling.settle(1, True, 0.45)
    assert rolling.recent(10, 0.5) == [False, True, True]
    assert rolling.recent(2, 0.5) == [True, True]
    assert rolling.recent(10, 1.35) == [False, True, True, False]  # slot 3 was due more than a second ago
    assert rolling.recent(0, 1.35) == []
    assert rolling.age_s(1.45) == pytest.approx(1.0)


def test_a_slow_system_is_given_the_time_it_usually_takes() -> None:
    rolling = Rolling(0.0)
    rolling.expect(0, 0.0)
    rolling.settle(0, True, 3.0)
    rolling.expect(1, 3.0)
    assert rolling.recent(5, 8.9) == [True]
    assert rolling.recent(5, 9.1) == [True, False]


def test_steady_does_not_wait_for_the_newest_asking() -> None:
    rolling = Rolling(0.0)
    for slot in range(4):
        rolling.expect(slot, slot / 10)
    for slot in range(3):
        rolling.settle(slot, True, 0.5)
    assert rolling.steady(0.0, 3)
    assert not rolling.steady(0.1, 3)
    rolling.expect(4, 0.4)
    assert not rolling.steady(0.0, 3)  # two under way: the older one is late
