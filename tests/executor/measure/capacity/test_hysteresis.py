from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executor.load.window import Window
from executor.measure.capacity.hysteresis import hysteresis
from tests.executor.measure.capacity.simulated import served, window

OVERLOAD = (4.0, 8.0)


def _story(after: list[float], *, before: float = 1.0, during: float = 0.3, seed: int = 0) -> list[Window]:
    """Twenty windows of 0.2 s before, twenty of an overload, and then these."""
    shares = np.array([before] * 20 + [during] * 20 + after)
    shares = np.clip(0.97 * shares + 0.01 * np.random.default_rng(seed).standard_normal(len(shares)), 0, 1)
    return served(shares.tolist(), due=100)


@settings(max_examples=25)
@given(st.integers(0, 30), st.integers(0, 1000))
def test_a_planted_recovery_time_is_found_within_a_window(slow: int, seed: int) -> None:
    found = hysteresis(_story([0.2] * slow + [1.0] * 40, seed=seed), OVERLOAD)
    assert found.verdict == "recovers"
    assert found.recovery_s is not None
    assert found.recovery_s.low <= slow * 0.2 + 1e-9
    assert found.recovery_s.high >= slow * 0.2 - 1e-9
    assert found.recovery_s.value == pytest.approx(slow * 0.2, abs=1e-6)


@settings(max_examples=25)
@given(st.floats(0, 0.8), st.integers(0, 1000))
def test_what_stays_bad_is_metastable(share: float, seed: int) -> None:
    found = hysteresis(_story([share] * 40, seed=seed), OVERLOAD)
    assert found.verdict == "metastable"
    assert found.recovery_s is None
    assert found.after is not None
    assert found.after.value == pytest.approx(0.97 * share, abs=0.03)


def test_one_that_comes_back_and_goes_again_has_not_recovered() -> None:
    found = hysteresis(_story([0.3] * 10 + [1.0] * 6 + [0.3] * 30), OVERLOAD)
    assert found.verdict == "metastable"


@pytest.mark.parametrize(
    ("windows", "why"),
    [
        ([], "are needed"),
        (_story([0.3] * 10), "are needed"),
        (_story([0.3] * 16), "watched for as long"),
        (_story([0.3] * 40, during=1.0), "overloaded nothing"),
        (_story([0.3] * 40, before=0.3), "before it only"),
        (_story(np.linspace(0.1, 0.8, 40).tolist()), "still getting better"),
        (_story([0.93] * 40), "neither back nor clearly away"),
        ([*_story([])[:40], *(window(8 + k * 0.2, 60, 60) for k in range(40))], "not the load before"),
    ],
)
def test_what_says_too_little_is_inconclusive(windows: list[Window], why: str) -> None:
    found = hysteresis(windows, OVERLOAD)
    assert found.verdict == "inconclusive"
    assert why in found.why
    assert found.recovery_s is None
