"""What the generator and the search find of real servers whose capacity is known by construction."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from executor.errors import RateNotReachedError
from executor.load.load import Load, Order, require_reached
from executor.load.profile import constant
from executor.load.request import Request
from executor.load.window import Window
from executor.measure.capacity.cliff import cliff
from executor.measure.capacity.failure import failure
from executor.measure.capacity.hysteresis import hysteresis
from executor.measure.capacity.knee import knee
from executor.measure.capacity.level import Level, drain_s, level
from executor.measure.capacity.search import MaximumSearch, Outcome
from executor.measure.capacity.sequential import LevelTest
from executor.measure.capacity.usl import fit
from tests.executor.load.conftest import Serve

GOOD_S = 0.15
SHARE = 0.95


def _try(port: int, rate_rps: float, scratch: Path, name: str) -> tuple[Outcome, Level | None, list[Window]]:
    """One rate, until it is sure; then what is left under way is let go."""
    test = LevelTest(SHARE, warmup_s=2 * GOOD_S)
    order = Order(Request("127.0.0.1", port), (constant(rate_rps, 10),), good_within_s=GOOD_S, window_s=0.1)
    with Load(order, scratch, name) as load:
        for window in load.windows():
            test.add(window)
            if test.over:
                break
    time.sleep(min(2.0, drain_s(window)))
    try:
        require_reached(test.windows)
    except RateNotReachedError:
        return "unreachable", None, test.windows
    return test.decision, level(test.windows), test.windows


def _sure(port: int, rate_rps: float, scratch: Path) -> tuple[Outcome, Level | None, list[Window]]:
    """The same, again where this machine was too busy to send in time."""
    for turn in range(4):
        found = _try(port, rate_rps, scratch, f"{rate_rps:.0f}-{turn}")
        if found[0] in ("stable", "violated"):
            break
    return found


@pytest.mark.parametrize(("share", "outcome"), [(0.93, "stable"), (1.07, "violated")])
def test_on_either_side_of_the_capacity(share: float, outcome: str, serve: Serve, tmp_path: Path) -> None:
    port = serve(10, 25)  # 400 requests/s
    found, seen, windows = _sure(port, 400 * share, tmp_path)
    assert found == outcome
    assert seen is not None
    assert seen.offered_rps == pytest.approx(400 * share, rel=0.05)
    if outcome == "stable":
        assert seen.goodput_rps == pytest.approx(seen.offered_rps, rel=0.05)
        assert seen.concurrency is not None
        assert 0.95 <= seen.concurrency / (400 * share * 0.025) <= 3  # a busy machine answers late
        assert failure(windows, SHARE).mode == "none"
    else:
        assert seen.growth_rps == pytest.approx(400 * (share - 1), rel=0.5)


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "service_ms", "capacity"), [(20, 50, 400.0), (4, 10, 400.0), (6, 40, 150.0)])
def test_the_maximum_is_found_within_5_percent(
    workers: int, service_ms: int, capacity: float, serve: Serve, tmp_path: Path
) -> None:
    port, search = serve(workers, service_ms), MaximumSearch(60, 5000)
    while (rate_rps := search.next_rps()) is not None:
        search.settle(rate_rps, _sure(port, rate_rps, tmp_path)[0])
    found = search.result()
    assert found.verdict == "found", search.outcomes
    assert found.low_rps is not None
    assert found.high_rps is not None
    assert capacity * 0.95 <= found.low_rps <= capacity * 1.05, search.outcomes
    assert capacity * 0.97 <= found.high_rps <= capacity * 1.1, search.outcomes
    assert len(search.outcomes) <= 12


@pytest.mark.slow
def test_known_contention_is_recovered(serve: Serve, tmp_path: Path) -> None:
    """In open loop the law's N is not set but found: what is under way at a rate, by Little's law."""
    sigma, kappa, service_s = 0.05, 0.002, 0.1
    port = serve(1, service_s * 1000, f"usl={sigma}:{kappa}")
    points = []
    for n in (1, 2, 4, 6, 8, 11, 14):
        rate_rps = n / service_s / (1 + sigma * (n - 1) + kappa * n * (n - 1))
        order = Order(Request("127.0.0.1", port), (constant(rate_rps, 2.5),), good_within_s=1.0, window_s=0.1)
        with Load(order, tmp_path, f"{n}") as load:
            seen = level([window for window in load.windows() if window.end_s <= 2.5], after_s=1.0)
        assert seen is not None
        assert seen.concurrency is not None
        points.append((seen.concurrency, seen.goodput_rps))
    found = fit(points)
    assert found.verdict == "sub-linear", points
    assert found.gamma_rps is not None
    assert found.sigma is not None
    assert found.kappa is not None
    assert found.gamma_rps.value == pytest.approx(1 / service_s, rel=0.15)
    assert found.sigma.value == pytest.approx(sigma, abs=0.03), points
    assert found.kappa.value == pytest.approx(kappa, abs=0.0015), points


def _level(port: int, rate_rps: float, seconds: float, good_within_s: float, scratch: Path) -> Level:
    """One rate for so long; then what is under way is worked off."""
    profile = (constant(rate_rps, seconds),)
    order = Order(Request("127.0.0.1", port), profile, good_within_s=good_within_s, window_s=0.1)
    with Load(order, scratch, f"{rate_rps:.0f}") as load:
        windows = list(load.windows())
    found = level(windows, after_s=seconds / 3)
    assert found is not None
    return found


@pytest.mark.slow
def test_a_planted_cliff_is_found_where_it_is(serve: Serve, tmp_path: Path) -> None:
    """200 requests/s, and 67 once 15 wait."""
    port = serve(4, 20, "worn=15")
    levels = [_level(port, rate_rps, 1.5, 0.15, tmp_path) for rate_rps in (60, 100, 140, 180, 260, 340)]
    found = cliff(levels)
    assert found.verdict == "collapse", (found, [(each.offered_rps, each.goodput_rps) for each in levels])
    assert found.at_rps == pytest.approx(180, rel=0.05)
    assert found.next_rps == pytest.approx(260, rel=0.05)


@pytest.mark.slow
def test_a_planted_knee_is_found_where_it_is(serve: Serve, tmp_path: Path) -> None:
    """Beyond the capacity latency grows by so much a second; on rates that grow by a factor Kneedle alone may fail."""
    port = serve(20, 50)
    rates = [40 * 2 ** (k / 2) for k in range(11)]
    levels = [_level(port, rate_rps, 1.2, 8.0, tmp_path) for rate_rps in rates]
    latencies_ms = [each.latency_p50_ms for each in levels]
    points = [(a.offered_rps, ms) for a, ms in zip(levels, latencies_ms, strict=True) if ms is not None]
    found = knee([rate for rate, _ in points], [ms for _, ms in points], "convex")
    assert (found.verdict, found.decided_by) == ("found", "segments"), (found, points)
    assert found.at is not None
    assert found.at.value == pytest.approx(400, rel=0.2), (found, points)


@pytest.mark.slow
def test_one_that_stays_worn_is_metastable(serve: Serve, tmp_path: Path) -> None:
    """The same, but with more than 15 waiting it can do 67 a second, and 100 come: it never gets below that again."""
    profile = (constant(100, 1.0), constant(300, 0.6), constant(100, 2.4))
    order = Order(Request("127.0.0.1", serve(4, 20, "worn=15")), profile, good_within_s=0.1, window_s=0.1)
    with Load(order, tmp_path, "it") as load:
        windows = list(load.windows())
    found = hysteresis(windows, (1.0, 1.6))
    assert found.verdict == "metastable", found
    assert found.recovery_s is None


@pytest.mark.slow
def test_an_overload_of_a_healthy_service_is_over_when_it_is_over(serve: Serve, tmp_path: Path) -> None:
    """200 requests/s at most; 0.6 s of 300 leave 60 waiting, and 100 free a second work them off."""
    port = serve(4, 20)
    profile = (constant(100, 1.0), constant(300, 0.6), constant(100, 2.4))
    order = Order(Request("127.0.0.1", port), profile, good_within_s=0.1, window_s=0.1)
    with Load(order, tmp_path, "it") as load:
        windows = list(load.windows())
    found = hysteresis(windows, (1.0, 1.6))
    assert found.verdict == "recovers", found
    assert found.recovery_s is not None
    assert 0.2 <= found.recovery_s.value <= 1.2
    assert failure(windows[10:16], SHARE).mode == "latency collapse"
