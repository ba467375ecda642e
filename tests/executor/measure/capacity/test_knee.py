from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executor.measure.capacity.knee import Shape, knee, kneedle

Array = npt.NDArray[np.float64]
EVEN = np.linspace(40, 640, 16)
POWERS = 2.0 ** np.arange(1, 12)
RAMP = np.array([60, 120, 240, 339, 370, 386, 403, 420, 480])
"""As a search for the maximum leaves them."""


def _stick(x: Array, at: float, shape: Shape, noise: float, seed: int) -> Array:
    """Flat and then steep, or steep and then flat."""
    exact = 10 + 40 / at * np.maximum(0, x - at) if shape == "convex" else np.minimum(x, at)
    values: Array = exact * (1 + noise * np.random.default_rng(seed).standard_normal(len(x)))
    return values


@settings(max_examples=15)
@given(
    st.sampled_from(["even", "powers"]),
    st.sampled_from(["convex", "concave"]),
    st.floats(0, 1),
    st.integers(0, 10_000),
)
def test_planted_knees_are_found_where_they_are(grid: str, shape: Shape, where: float, seed: int) -> None:
    x = EVEN if grid == "even" else POWERS
    at = float(np.exp(np.interp(where, [0, 1], np.log([x[2] * 1.05, x[-3] * 0.95]))))
    found = knee(x.tolist(), _stick(x, at, shape, 0.02, seed).tolist(), shape)
    assert found.verdict == "found"
    assert found.at is not None
    assert found.at.value == pytest.approx(at, rel=0.12)
    assert found.at.low <= found.at.value <= found.at.high
    assert found.decided_by == ("both" if grid == "even" else "segments") or found.decided_by == "segments"


def test_kneedle_alone_fails_on_powers_of_two_and_is_not_believed_there() -> None:
    missed = believed = 0
    for seed in range(20):
        at = float(np.random.default_rng(seed).uniform(16, 500))
        y = _stick(POWERS, at, "convex", 0.02, seed)
        alone = kneedle(POWERS, y, "convex")
        missed += alone is None or not at / 1.5 <= alone <= at * 1.5
        found = knee(POWERS.tolist(), y.tolist(), "convex")
        believed += found.decided_by != "segments"
        assert found.at is not None
        assert at / 1.15 <= found.at.value <= at * 1.15
        assert found.kneedle == alone
    assert missed >= 8
    assert believed == 0


def test_on_even_loads_both_decide() -> None:
    deciders = [
        knee(EVEN.tolist(), _stick(EVEN, 300, "convex", 0.02, s).tolist(), "convex").decided_by for s in range(10)
    ]
    assert deciders.count("both") >= 8


def test_the_loads_of_a_search_will_do() -> None:
    found = knee(RAMP.tolist(), _stick(RAMP, 380, "convex", 0.01, 3).tolist(), "convex")
    assert found.at is not None
    assert found.at.value == pytest.approx(380, rel=0.05)


@pytest.mark.parametrize("grid", [EVEN, POWERS])
def test_the_intervals_hold_the_knee_about_as_often_as_they_say(grid: Array) -> None:
    held = 0
    for seed in range(25):
        found = knee(grid.tolist(), _stick(grid, 300, "convex", 0.03, seed).tolist(), "convex")
        assert found.at is not None
        held += found.at.low <= 300 <= found.at.high
    assert held >= 20


@pytest.mark.parametrize("grid", [EVEN, POWERS, RAMP])
@pytest.mark.parametrize("shape", ["convex", "concave"])
def test_a_straight_line_has_no_knee(grid: Array, shape: Shape) -> None:
    verdicts = []
    for seed in range(10):
        noise = 1 + 0.03 * np.random.default_rng(seed).standard_normal(len(grid))
        verdicts.append(knee(grid.tolist(), ((20 + 0.5 * grid) * noise).tolist(), shape).verdict)
    assert verdicts.count("found") <= 1
    assert verdicts.count("none") >= 8


def test_the_other_shape_is_no_knee() -> None:
    assert knee(EVEN.tolist(), _stick(EVEN, 300, "convex", 0.01, 0).tolist(), "concave").at is None
    assert knee(EVEN.tolist(), _stick(EVEN, 300, "concave", 0.01, 0).tolist(), "convex").at is None


@pytest.mark.parametrize(
    ("x", "y", "why"),
    [
        ([], [], "are needed"),
        ([1, 2, 3, 4, 5], [1, 1, 1, 5, 9], "are needed"),
        ([1, 1, 2, 2, 3, 3], [1, 1, 1, 1, 5, 9], "are needed"),
        ([1, 2, 3, 4, 5, 6], [0, 1, 2, 3, 4, 5], "must be positive"),
    ],
)
def test_too_little_gives_no_number(x: list[float], y: list[float], why: str) -> None:
    found = knee(x, y, "convex")
    assert (found.verdict, found.decided_by, found.at) == ("inconclusive", "neither", None)
    assert why in found.why


def test_noise_alone_gives_no_number() -> None:
    values = np.random.default_rng(4).uniform(10, 100, (10, len(EVEN)))
    assert sum(knee(EVEN.tolist(), row.tolist(), "convex").at is not None for row in values) <= 2
