"""Records that a sampler writes and reads back, at a real server that keeps, refuses, stalls or says too much."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

import anyio
import pytest

from executor.errors import SafetyRefusalError
from executor.measure import sampler as sampling
from executor.measure.sampler import Sampler
from executor.model.data_check import DataCheck
from executor.model.evidence import Observation
from executor.model.probe import HttpProbe
from executor.probes.http import BODY_BYTES_MAX
from tests.executor.measure.serving import serving


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Keeper:
    """Keeps what is put; ``GET /`` lists it."""

    def __init__(self) -> None:
        self.port = 0
        self.kept: list[str] = []
        self.go = asyncio.Event()
        self.go.set()
        self.more = b""
        self.refuses = False
        self.listing_s = 0.0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            method, path, _ = (await reader.readuntil(b"\r\n\r\n")).decode().split(" ", 2)
            status, said = "200 OK", b""
            if method == "PUT" and self.refuses:
                status = "503 Busy"
            elif method == "PUT":
                self.kept.append(path.strip("/"))
            else:
                await self.go.wait()
                await asyncio.sleep(self.listing_s)
                said = " ".join(self.kept).encode() + self.more
            writer.write(f"HTTP/1.1 {status}\r\ncontent-length: {len(said)}\r\n\r\n".encode() + said)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def check(self, **fields: object) -> DataCheck:
        url = f"http://127.0.0.1:{self.port}/"
        write = HttpProbe(url=f"{url}{{id}}", method="PUT", timeout_ms=3000)
        given = {"write": write, "read": HttpProbe(url=url, timeout_ms=3000), "rate_hz": 50, "settle_s": 0}
        return DataCheck(**{"id": "kept", "service": "base", **given, **fields})


def of(seen: Iterable[Observation], source: str) -> list[Observation]:
    return [each for each in seen if each.source == source]


def sampler_of(check: DataCheck, seen: list[Observation], mark: str = "run-1 e1 1") -> Sampler:
    return Sampler([], [], [], time.monotonic(), "e1", seen.append, data_checks=(check,), mark=mark, drain_s=3)


async def sampled(check: DataCheck, seen: list[Observation], until: object, mark: str = "run-1 e1 1") -> None:
    sampler = sampler_of(check, seen, mark)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sampler.run)
        with anyio.fail_after(20):
            while not until():  # type: ignore[operator]
                await anyio.sleep(0.01)
        sampler.stop()


@pytest.mark.anyio
async def test_what_is_acknowledged_is_what_is_there_and_each_trial_finds_its_own() -> None:
    async with serving(Keeper()) as server:
        for mark in ("run-1 e1 1", "run-1 e1 2"):
            seen: list[Observation] = []
            await sampled(server.check(), seen, lambda: len(of(seen, "writes:kept")) >= 10, mark)  # noqa: B023
            written, found = of(seen, "writes:kept"), of(seen, "found:kept")
            assert sorted(o.value for o in written if o.ok) == [o.value for o in found]
            assert len({o.value for o in found}) == len(found) >= 10
            (reading,) = of(seen, "reads:kept")
            assert (reading.ok, reading.value) == (True, float(len(found)))
            assert {o.at_s for o in found} == {reading.at_s}
        assert len(server.kept) > len(found)


@pytest.mark.anyio
async def test_a_refused_write_is_none_and_is_asked_for_all_the_same() -> None:
    async with serving(Keeper()) as server:
        server.refuses = True
        seen: list[Observation] = []
        await sampled(server.check(), seen, lambda: len(of(seen, "writes:kept")) >= 5)
        assert not any(o.ok for o in of(seen, "writes:kept"))
        (reading,) = of(seen, "reads:kept")
        assert (reading.ok, reading.value) == (True, 0)


@pytest.mark.anyio
async def test_it_is_read_again_until_all_is_there_and_then_not() -> None:
    async with serving(Keeper()) as server:
        hidden: list[str] = []
        seen: list[Observation] = []

        def hide() -> bool:
            if len(of(seen, "writes:kept")) < 5:
                return False
            hidden.append(server.kept.pop(0))
            asyncio.get_running_loop().call_later(0.8, server.kept.append, hidden[0])
            return True

        await sampled(server.check(settle_s=30), seen, hide)
        counts = [int(o.value or 0) for o in of(seen, "reads:kept")]
        acknowledged = sum(o.ok for o in of(seen, "writes:kept"))
        assert counts == [acknowledged - 1] * (len(counts) - 1) + [acknowledged]
        assert 2 <= len(counts) <= 4


@pytest.mark.anyio
async def test_it_is_read_once_more_when_the_time_to_settle_is_over() -> None:
    """A reading takes half of it here, and the first shows what had been there when it began."""
    async with serving(Keeper()) as server:
        seen: list[Observation] = []

        def hide() -> bool:
            if len(of(seen, "writes:kept")) < 5:
                return False
            server.listing_s = 0.6
            asyncio.get_running_loop().call_later(0.9, server.kept.append, server.kept.pop(0))
            return True

        await sampled(server.check(settle_s=1), seen, hide)
        readings = of(seen, "reads:kept")
        assert readings[-1].value == sum(o.ok for o in of(seen, "writes:kept"))
        assert readings[-1].at_s - readings[0].at_s >= 0.6


@pytest.mark.anyio
async def test_a_list_that_is_cut_off_is_no_reading() -> None:
    """What lay beyond would seem lost."""
    async with serving(Keeper()) as server:
        server.more = b" " * BODY_BYTES_MAX
        seen: list[Observation] = []
        await sampled(server.check(), seen, lambda: len(of(seen, "writes:kept")) >= 5)
        (reading,) = of(seen, "reads:kept")
        assert (reading.ok, reading.value, reading.error) == (
            False,
            None,
            "the answer is longer than the 4 MiB that are read",
        )
        assert of(seen, "found:kept") == []


@pytest.mark.anyio
async def test_the_reading_before_the_fault_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "BEFORE_S", 0.3)
    async with serving(Keeper()) as server:
        server.go.clear()
        seen: list[Observation] = []
        sampler = sampler_of(server.check(), seen)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(sampler.run)
            while not of(seen, "writes:kept"):
                await anyio.sleep(0.01)
            began = time.monotonic()
            await sampler.read_before()
            assert 0.2 < time.monotonic() - began < 2
            assert of(seen, "reads:kept") == []
            tasks.cancel_scope.cancel()  # as when a run is cut short: nothing is read
        assert of(seen, "reads:kept") == []


@pytest.mark.anyio
async def test_who_stood_still_does_not_catch_up_on_what_it_has_not_written() -> None:
    """All at once it would be more than the approved rate."""
    async with serving(Keeper()) as server:
        seen: list[Observation] = []
        sampler = sampler_of(server.check(), seen)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(sampler.run)
            while len(server.kept) < 5:
                await anyio.sleep(0.01)
            time.sleep(1.5)
            before = len(server.kept)
            await anyio.sleep(0.4)
            assert 10 < len(server.kept) - before < 60  # half a second of being late, and those that are due
            sampler.stop()
        written = of(seen, "writes:kept")
        assert sum("overdue" in o.error for o in written) > 30
        assert sorted(int(o.value or 0) for o in written) == list(range(len(written)))


@pytest.mark.anyio
async def test_no_data_check_leaves_the_system() -> None:
    async with serving(Keeper()) as server:
        elsewhere = HttpProbe(url="http://elsewhere.example/")
        for fields in ({"read": elsewhere}, {"invariants": (elsewhere,)}):
            with pytest.raises(SafetyRefusalError):
                sampler_of(server.check(**fields), [])
