from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executor.measure.capacity.cliff import cliff
from executor.measure.capacity.level import Level, level
from tests.executor.measure.capacity.simulated import served

RATES = (100, 200, 300, 400, 500, 600, 700, 800)


def _levels(
    goodput: Callable[[float], float],
    *,
    rates: Sequence[float] = RATES,
    noise: float = 0.03,
    windows: int = 8,
    seed: int = 0,
) -> list[Level]:
    chance = np.random.default_rng(seed)
    found = []
    for rate in rates:
        shares = np.clip(goodput(rate) / rate * (1 + noise * chance.standard_normal(windows)), 0, 1)
        made = level(served(shares.tolist(), due=round(rate), span_s=1.0))
        assert made is not None
        found.append(made)
    return found


@settings(max_examples=30)
@given(st.integers(1, len(RATES) - 2), st.floats(0.1, 0.6), st.integers(0, 1000))
def test_a_planted_collapse_is_found_where_it_is(place: int, left: float, seed: int) -> None:
    edge = RATES[place]
    found = cliff(_levels(lambda rate: rate if rate <= edge else edge * left, seed=seed))
    assert (found.verdict, found.at_rps, found.next_rps) == ("collapse", edge, RATES[place + 1])
    assert found.before is not None
    assert found.after is not None
    assert found.before.value == pytest.approx(1, abs=0.15)
    assert found.after.high < 0
    assert (
        found.after.low <= (left - 1) * edge / 100 <= found.after.high
        or abs(found.after.value - (left - 1) * edge / 100) < 0.4
    )
    assert found.p is not None
    assert found.p < 0.01


def test_a_service_that_is_full_has_no_collapse() -> None:
    found = cliff(_levels(lambda rate: min(rate, 400), noise=0.005))
    assert (found.verdict, found.at_rps) == ("saturation", 400)
    assert found.after is not None
    assert found.after.value == pytest.approx(0, abs=0.1)


def test_a_collapse_on_rates_that_double() -> None:
    rates = (50, 100, 200, 400, 800, 1600)
    found = cliff(_levels(lambda rate: rate if rate <= 400 else 100, rates=rates))
    assert (found.verdict, found.at_rps, found.next_rps) == ("collapse", 400, 800)


def test_where_all_is_served_there_is_none() -> None:
    verdicts = [cliff(_levels(lambda rate: rate * 0.98, noise=0.01, seed=seed)) for seed in range(20)]
    assert {found.verdict for found in verdicts} <= {"none", "inconclusive"}
    assert sum(found.verdict == "none" for found in verdicts) >= 10
    assert all(found.at_rps is None for found in verdicts)


def test_noise_is_no_cliff() -> None:
    verdicts = [cliff(_levels(lambda rate: rate * 0.6, noise=0.3, windows=6, seed=seed)).verdict for seed in range(20)]
    assert sum(verdict in ("collapse", "saturation") for verdict in verdicts) <= 1


@pytest.mark.parametrize(
    "levels",
    [
        [],
        _levels(lambda rate: rate, rates=(100, 200, 300)),
        _levels(lambda rate: rate, windows=3),
        _levels(lambda rate: rate, rates=(100, 200, 300, 300)),
    ],
)
def test_too_little_gives_no_number(levels: list[Level]) -> None:
    found = cliff(levels)
    assert (found.verdict, found.at_rps, found.before, found.after, found.p) == ("inconclusive", None, None, None, None)
