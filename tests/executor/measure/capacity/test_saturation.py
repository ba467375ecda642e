"""Which resource was used up; real services that use each are in tests/executor/run/test_searches.py."""

from __future__ import annotations

from dataclasses import replace

import pytest

from executor.measure.capacity.level import Level
from executor.measure.capacity.saturation import saturation
from executor.measure.capacity.steps import Usage

IDLE = Usage(
    at_s=0.2,
    cpu_cores=0.2,
    waiting_cores=0.0,
    busiest=0.2,
    cores=4,
    memory_bytes=2**20,
    memory_max=2**30,
    descriptors=0.01,
    threads=8,
)


def level(offered_rps: float, goodput_rps: float) -> Level:
    return Level(
        offered_rps=offered_rps,
        goodput_rps=goodput_rps,
        parts_rps=(goodput_rps,) * 8,
        span_s=1.6,
        due=int(offered_rps * 1.6),
        good=int(goodput_rps * 1.6),
        failed={},
        concurrency=None,
        growth_rps=0.0,
        latency_p50_ms=None,
        latency_p95_ms=None,
        latency_p99_ms=None,
    )


FLAT = [level(100, 100), level(200, 200), level(300, 205), level(400, 200)]


@pytest.mark.parametrize(
    ("said", "resource"),
    [
        (IDLE, "pool"),
        (replace(IDLE, cpu_cores=3.8, busiest=3.8), "cpu"),
        (replace(IDLE, cpu_cores=1.0, busiest=1.0), "cpu"),
        (replace(IDLE, cpu_cores=2.0, busiest=2.0), "pool"),
        (replace(IDLE, cpu_cores=0.5, waiting_cores=0.5, busiest=1.0), "cpu"),  # others have the processor
        (replace(IDLE, cpu_cores=2.8, waiting_cores=1.1, busiest=2.0), "cpu"),
        (replace(IDLE, cpu_cores=0.55, busiest=0.55, cores=0.6), "cpu"),
        (replace(IDLE, cpu_cores=1.0, busiest=0.13), "pool"),  # eight workers that wait most of the time
        (replace(IDLE, cpu_cores=2.0, busiest=0.98), "cpu"),  # two workers, each on one core
        (replace(IDLE, descriptors=0.97), "descriptors"),
        (replace(IDLE, memory_bytes=2**30 * 95 // 100), "memory"),
        (replace(IDLE, memory_bytes=2**40, memory_max=None), "pool"),
        (replace(IDLE, alive=False, out_of_memory=True), "memory"),
    ],
)
def test_what_was_used_up(said: Usage, resource: str) -> None:
    assert saturation([said] * 5, FLAT, 0.04).resource == resource


def test_a_pools_size_is_what_is_answered_at_once() -> None:
    assert "about 8 at once" in saturation([IDLE] * 5, FLAT, 0.04).why


def test_a_limit_of_the_rate_is_no_pool() -> None:
    """100 requests/s of 1 ms each are 0.1 at once; and whoever says 429 counts requests, not places."""
    assert saturation([IDLE] * 5, FLAT, 0.001).resource == "unknown"
    turned_away = [replace(each, failed={"status 429": each.due - each.good}) for each in FLAT]
    assert saturation([IDLE] * 5, turned_away, 0.04).resource == "unknown"
    shed = [replace(each, failed={"status 503": each.due - each.good}) for each in FLAT]
    assert "about 8 at once, and the others are turned away" in saturation([IDLE] * 5, shed, 0.04).why


@pytest.mark.parametrize(("usage", "levels"), [([IDLE], FLAT), ([], FLAT), ([IDLE] * 5, FLAT[:2])])
def test_too_little_says_nothing(usage: list[Usage], levels: list[Level]) -> None:
    assert saturation(usage, levels, 0.04).resource == "unknown"
