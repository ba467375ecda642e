from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executor.measure.capacity.usl import fit

N = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)


def _points(
    gamma: float, sigma: float, kappa: float, *, noise: float = 0.0, seed: int = 0, n: Sequence[float] = N
) -> list[tuple[float, float]]:
    chance = np.random.default_rng(seed)
    exact = [gamma * k / (1 + sigma * (k - 1) + kappa * k * (k - 1)) for k in n]
    return [(k, x * float(1 + noise * chance.standard_normal())) for k, x in zip(n, exact, strict=True)]


@given(st.floats(1, 1e4), st.floats(0, 0.5), st.floats(0, 0.02))
def test_exact_points_give_the_parameters_back(gamma: float, sigma: float, kappa: float) -> None:
    found = fit(_points(gamma, sigma, kappa))
    if found.verdict == "inconclusive":
        assert "is lost" in found.why
        return
    assert found.gamma_rps is not None
    assert found.sigma is not None
    assert found.kappa is not None
    assert found.gamma_rps.value == pytest.approx(gamma, rel=1e-6)
    assert found.sigma.value == pytest.approx(sigma, abs=1e-6)
    assert found.kappa.value == pytest.approx(kappa, abs=1e-8)


@settings(max_examples=50)
@given(st.floats(0.02, 0.3), st.floats(0.0005, 0.02), st.integers(0, 10_000))
def test_noisy_points_give_them_back_nearly(sigma: float, kappa: float, seed: int) -> None:
    found = fit(_points(100, sigma, kappa, noise=0.02, seed=seed))
    assert found.gamma_rps is not None
    assert found.sigma is not None
    assert found.kappa is not None
    assert found.gamma_rps.value == pytest.approx(100, rel=0.1)
    assert found.sigma.value == pytest.approx(sigma, abs=0.04)
    assert found.kappa.value == pytest.approx(kappa, rel=0.35, abs=3e-4)


def test_the_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    held = 0
    for seed in range(100):
        found = fit(_points(100, 0.05, 0.002, noise=0.03, seed=seed))
        assert found.sigma is not None
        held += found.sigma.low <= 0.05 <= found.sigma.high
    assert 85 <= held <= 100


@pytest.mark.parametrize(
    ("sigma", "kappa", "verdict"),
    [(0, 0, "linear"), (0.1, 0, "sub-linear"), (0.03, 0.0001, "sub-linear"), (0.02, 0.002, "retrograde")],
)
def test_classes(sigma: float, kappa: float, verdict: str) -> None:
    seen = [fit(_points(250, sigma, kappa, noise=0.01, seed=seed)).verdict for seed in range(20)]
    assert set(seen) - {verdict} <= {"inconclusive"}
    assert seen.count(verdict) >= 15  # type: ignore[arg-type]


def test_the_peak() -> None:
    found = fit(_points(100, 0.02, 0.002, noise=0.01))
    assert found.peak_concurrency is not None
    assert found.peak_rps is not None
    peak = math.sqrt(0.98 / 0.002)
    assert found.peak_concurrency.value == pytest.approx(peak, rel=0.05)
    assert found.peak_rps.value == pytest.approx(
        100 * peak / (1 + 0.02 * (peak - 1) + 0.002 * peak * (peak - 1)), rel=0.03
    )
    rising = fit(_points(100, 0.1, 0))
    assert rising.peak_concurrency is not None
    assert rising.peak_rps is not None
    assert rising.peak_concurrency.value == math.inf
    assert rising.peak_rps.value == pytest.approx(1000)


@pytest.mark.parametrize(
    ("points", "why"),
    [
        ([], "are needed"),
        (_points(100, 0.1, 0.001, n=(1, 2, 4, 8, 16)), "6 different concurrencies"),
        (_points(100, 0.1, 0.001, n=(1, 1, 1, 2, 2, 4, 8)), "6 different concurrencies"),
        (_points(100, 0.1, 0.001, n=(10, 11, 12, 13, 14, 15)), "less than 4 times"),
        ([(0.0, 5.0), (-1, 3), (2, 0)], "are needed"),
        ([(n, 100 * (1 + 0.8 * math.sin(3 * n))) for n in N], "do not follow the law"),
    ],
)
def test_too_little_gives_no_number(points: list[tuple[float, float]], why: str) -> None:
    found = fit(points)
    assert found.verdict == "inconclusive"
    assert why in found.why
    assert (found.gamma_rps, found.sigma, found.kappa, found.peak_concurrency, found.peak_rps) == (None,) * 5
