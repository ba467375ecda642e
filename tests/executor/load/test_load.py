"""The generator as it is: a process of its own, against real servers."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from executor.errors import InputError, RateNotReachedError, UnavailableError
from executor.kernel import child, process
from executor.load import load as loading
from executor.load.load import Load, Order, require_reached
from executor.load.profile import Segment, constant
from executor.load.request import Request
from executor.load.window import Window, latencies
from tests.executor.kit import free_port, until
from tests.executor.load.conftest import Serve


def _order(port: int, rate_rps: float = 100, seconds: float = 1.0, **more: object) -> Order:
    given = {"good_within_s": 1.0, "timeout_s": 3.0, "window_s": 0.1, **more}
    return Order(Request("127.0.0.1", port), (constant(rate_rps, seconds),), **given)  # type: ignore[arg-type]


def _run(order: Order, scratch: Path) -> list[Window]:
    with Load(order, scratch, "it") as load:
        windows = list(load.windows())
    assert child.living(scratch / f"it{child.SUFFIX}") == []
    return windows


def _sum(windows: Sequence[Window], name: str) -> int:
    return sum(getattr(window, name) for window in windows)


def test_a_constant_rate_comes_as_it_was_ordered(serve: Serve, tmp_path: Path) -> None:
    windows = _run(_order(serve(20, 20), 200, 1.0), tmp_path)
    assert _sum(windows, "due") == _sum(windows, "good") == _sum(windows, "answered") == 200
    assert all(18 <= window.due <= 22 for window in windows[:10])
    assert [window.at_s for window in windows] == pytest.approx([k / 10 for k in range(len(windows))])
    assert windows[-1].under_way == 0
    took = latencies(windows)
    assert took.get_total_count() == 200
    assert took.get_min_value() >= 20_000 * 0.99
    assert [Window.read(line) for line in (tmp_path / "it.jsonl").read_text().splitlines()[1:-1]] == windows


def test_a_ramp_comes_as_it_was_ordered(serve: Serve, tmp_path: Path) -> None:
    order = Order(Request("127.0.0.1", serve(20, 10)), (Segment(0, 400, 1.0),), good_within_s=0.2, window_s=0.25)
    windows = _run(order, tmp_path)
    assert [abs(window.due - n) <= 2 for window, n in zip(windows, (12, 38, 62, 88), strict=False)] == [True] * 4


def test_at_random_the_same_seed_gives_the_same_load(serve: Serve, tmp_path: Path) -> None:
    port = serve(20, 1)
    once, again = (
        [window.due for window in _run(_order(port, 200, 0.5, seed=7), tmp_path / name) if window.due]
        for name in ("", ".")
    )
    assert once == again
    assert len(set(once)) > 2


def test_latency_counts_from_when_a_request_was_due(serve: Serve, tmp_path: Path) -> None:
    """While a server stands still for half a second, users go on coming, and wait. A closed loop sees one of them."""
    windows = _run(_order(serve(20, 5, "stall=0.5:0.5"), 100, 1.5, good_within_s=0.2), tmp_path)
    took = latencies(windows)
    assert took.get_total_count() == 150
    assert 380_000 <= took.get_value_at_percentile(98) <= 700_000
    assert took.get_value_at_percentile(80) >= 100_000
    assert 20 <= _sum(windows, "due") - _sum(windows, "good") <= 45


def test_what_beyond_the_concurrency_was_due_is_counted_and_no_rate_is_claimed(serve: Serve, tmp_path: Path) -> None:
    """Ten at once of 100 ms each are 100 requests/s, whatever was asked for."""
    windows = _run(_order(serve(50, 100), 200, 1.0, concurrency=10), tmp_path)
    assert 80 <= _sum(windows, "dropped") <= 110
    assert _sum(windows, "due") == 200
    with pytest.raises(RateNotReachedError, match="found as many under way as may be") as caught:
        require_reached([window for window in windows if window.due])
    assert caught.value.by == "concurrency"
    assert caught.value.wanted_rps == pytest.approx(200, rel=0.1)
    assert caught.value.reached_rps == pytest.approx(100, rel=0.2)


def _window(due: int, **more: float) -> Window:
    counts = {"late": 0, "dropped": 0, "skipped": 0, "good": 0, "answered": 0, "lag_ms": 1.0, "busy": 0.5, **more}
    return Window(at_s=0.0, span_s=0.5, due=due, failed={}, under_way=0, **counts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("more", "by"),
    [
        ({}, None),
        ({"late": 5, "skipped": 1}, None),
        ({"late": 6}, "generator"),
        ({"skipped": 2}, "generator"),
        ({"dropped": 1}, None),
        ({"dropped": 2}, "concurrency"),
        ({"dropped": 50, "late": 20}, "generator"),
    ],
)
def test_what_counts_as_reached(more: dict[str, float], by: str | None) -> None:
    if by is None:
        require_reached([_window(100, **more)])
        require_reached([_window(0)])
        return
    with pytest.raises(RateNotReachedError) as caught:
        require_reached([_window(100, **more)])
    assert caught.value.by == by
    assert (caught.value.wanted_rps, caught.value.reached_rps) == (200, 200 - 2 * sum(more.values()))


def test_a_rate_that_it_cannot_make_is_refused_with_the_rate_that_it_reached(serve: Serve, tmp_path: Path) -> None:
    windows = _run(_order(serve(1000, 1), 50_000, 0.5, concurrency=10_000, catch_up_s=0.1), tmp_path)
    with pytest.raises(
        RateNotReachedError, match=r"of 50,000 requests/s only .* and its process took .*% of a core"
    ) as caught:
        require_reached([window for window in windows if window.due])
    assert caught.value.by == "generator"
    assert caught.value.reached_rps < 45_000


def test_failures_are_told_apart(serve: Serve, tmp_path: Path) -> None:
    windows = _run(_order(serve(1, 20, "queue=2"), 200, 0.5), tmp_path)
    busy = sum(window.failed.get("status 503", 0) for window in windows)
    assert busy + _sum(windows, "good") == 100
    assert 60 <= busy <= 95
    (refused,) = {kind for window in _run(_order(free_port(), 50, 0.3), tmp_path) for kind in window.failed}
    assert refused == "refused"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        windows = _run(_order(silent.getsockname()[1], 50, 0.3, good_within_s=0.5, timeout_s=0.5), tmp_path)
    assert sum(window.failed.get("timeout", 0) for window in windows) == 15
    assert _sum(windows, "good") == 0


def test_a_connection_that_the_server_closed_while_idle_is_no_failure(serve: Serve, tmp_path: Path) -> None:
    windows = _run(_order(serve(20, 1, "close=3"), 200, 1.0), tmp_path)
    assert [dict(window.failed) for window in windows if window.failed] == []
    assert _sum(windows, "good") == 200


def test_without_keeping_connections(serve: Serve, tmp_path: Path) -> None:
    windows = _run(_order(serve(20, 1, "close=1"), 100, 0.5, keep_alive=False), tmp_path)
    assert _sum(windows, "good") == 50


def test_it_ends_when_nobody_reads(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "_LEASE_S", 1.0)
    with Load(_order(serve(20, 1), 50, 60), tmp_path, "it") as load:
        until(lambda: not process.alive(load._found.pid, load._found.start_ticks), 10)
        with pytest.raises(UnavailableError, match="ended before its time"):
            list(load.windows())


def test_it_ends_when_it_is_no_longer_wanted(serve: Serve, tmp_path: Path) -> None:
    with Load(_order(serve(20, 1), 50, 60), tmp_path, "it") as load:
        assert next(load.windows()).due > 0
    assert not process.alive(load._found.pid, load._found.start_ticks)


def test_one_that_stands_still_is_noticed(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "_SILENT_S", 0.5)
    with Load(_order(serve(20, 1), 50, 60, good_within_s=0.1), tmp_path, "it") as load:
        windows = load.windows()
        assert next(windows).due > 0
        process.send(load._found.pid, load._found.start_ticks, signal.SIGSTOP)
        with pytest.raises(UnavailableError, match="stands still"):
            list(windows)
    assert not process.alive(load._found.pid, load._found.start_ticks)


ORPHAN = """
import pathlib, sys, time
from executor.load.load import Load, Order
from executor.load.profile import constant
from executor.load.request import Request
order = Order(Request("127.0.0.1", int(sys.argv[1])), (constant(50, 60),), good_within_s=1)
with Load(order, pathlib.Path(sys.argv[2]), "it") as load:
    print(load._found.pid, load._found.start_ticks, flush=True)
    time.sleep(60)
"""


def test_it_ends_with_its_parent(serve: Serve, tmp_path: Path) -> None:
    command = [sys.executable, "-c", ORPHAN, str(serve(20, 1)), str(tmp_path)]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, env=child.environment())
    assert parent.stdout is not None
    pid, ticks = map(int, parent.stdout.readline().split())
    assert process.alive(pid, ticks)
    os.kill(parent.pid, signal.SIGKILL)
    parent.communicate()
    killed = time.monotonic()
    until(lambda: not process.alive(pid, ticks), 10)
    assert time.monotonic() - killed < 2


def test_the_helper_of_the_fault_carries_no_histograms() -> None:
    """It shares the generator, and nobody counts what it sends."""
    script = "import executor.faults.service.traffic, sys; print('hdrh' in sys.modules, 'numpy' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, env=child.environment())
    assert said.stdout == b"False False\n"


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"seconds": 4000}, "over within 3600 s"),
        ({"rate_rps": 60_000}, "from 0 to 50000/s"),
        ({"rate_rps": float("nan")}, "from 0 to 50000/s"),
        ({"concurrency": 0}, "concurrency must be"),
        ({"timeout_s": 100}, "time-out must be at most 60 s"),
        ({"good_within_s": 9}, "good within some time"),
        ({"seconds": 0}, "longer than 0 s"),
    ],
)
def test_what_is_out_of_bounds_is_refused(given: dict[str, float], why: str) -> None:
    with pytest.raises(InputError, match=why):
        _order(1, **given)  # type: ignore[arg-type]
