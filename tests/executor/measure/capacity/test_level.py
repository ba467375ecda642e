from __future__ import annotations

import dataclasses
import math

import pytest

from executor.load.window import Window, histogram
from executor.measure.capacity.level import drain_s, level
from tests.executor.measure.capacity.simulated import served, window


def _answered(latencies_ms: list[float], made: Window) -> Window:
    taken = histogram()
    for each in latencies_ms:
        taken.record_value(round(each * 1000))
    return dataclasses.replace(made, answered=len(latencies_ms), latency=taken.encode().decode())


def test_rates_shares_and_what_is_left_out() -> None:
    windows = [*served([0.0] * 5), *served([0.5] * 5, begin_s=1.0)]
    found = level(windows, after_s=1.0)
    assert found is not None
    assert (found.offered_rps, found.goodput_rps) == (pytest.approx(200), pytest.approx(100))
    assert found.parts_rps == pytest.approx((100.0,) * 5)
    assert (found.due, found.good, found.span_s) == (200, 100, pytest.approx(1.0))
    assert found.growth_rps == 0
    assert (found.concurrency, found.latency_p50_ms) == (None, None)


def test_growth_is_that_of_the_requests_under_way() -> None:
    found = level([window(k * 0.2, 40, 40, under_way=10 + 3 * k) for k in range(10)])
    assert found is not None
    assert found.growth_rps == pytest.approx(15)


def test_latency_and_what_littles_law_makes_of_it() -> None:
    windows = [_answered([20.0] * 38 + [100.0] * 2, window(k * 0.2, 40, 40)) for k in range(10)]
    found = level(windows)
    assert found is not None
    assert found.latency_p50_ms == pytest.approx(20, rel=0.001)
    assert found.latency_p95_ms == pytest.approx(20, rel=0.001)
    assert found.latency_p99_ms is None  # 4 answers are beyond it
    assert found.concurrency == pytest.approx(200 * 0.024, rel=0.001)


def test_answers_that_come_when_nothing_is_due_any_more_count() -> None:
    windows = [_answered([20.0] * 40, window(k * 0.2, 80, 40)) for k in range(5)]
    drained = [_answered([500.0] * 40, window(1 + k * 0.2, 0, 0)) for k in range(5)]
    found = level([*windows, *drained])
    assert found is not None
    assert (found.due, found.span_s) == (400, pytest.approx(1.0))
    assert found.latency_p95_ms == pytest.approx(500, rel=0.001)


def test_failures_are_added_up() -> None:
    found = level([window(k * 0.2, 40, 30, status_503=8, timeout=2) for k in range(3)])
    assert found is not None
    assert found.failed == {"status 503": 24, "timeout": 6}


def test_too_few_windows_are_no_level() -> None:
    assert level([]) is None
    assert level(served([1.0] * 2)) is None
    assert level([window(k * 0.2, 0, 0) for k in range(9)]) is None


def test_how_long_a_queue_takes() -> None:
    assert drain_s(window(0, 100, 40, under_way=60)) == pytest.approx(60 / 200)
    assert drain_s(window(0, 100, 0, under_way=60)) == math.inf
    assert drain_s(window(0, 0, 0, under_way=0)) == 0
