"""Planted changes are found where they were planted; in what never changed there are none, as a rule."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knowledge.resilience.change_points import ALPHA, change_points


def noise(n: int, seed: int) -> list[float]:
    return [float(value) for value in np.random.default_rng(seed).normal(0.7, 0.05, n)]


def test_a_planted_step_is_found_at_its_place() -> None:
    values = noise(12, 1) + [value + 0.3 for value in noise(12, 2)]
    (found,) = change_points(values)
    assert found.at == 12
    assert found.after - found.before == pytest.approx(0.3, abs=0.06)
    assert found.p_value < 0.001


def test_a_level_that_came_and_went_is_found() -> None:
    values = noise(12, 3) + [value - 0.3 for value in noise(10, 4)] + noise(12, 5)
    down, up = change_points(values)
    assert (abs(down.at - 12) <= 1, abs(up.at - 22) <= 1) == (True, True)
    assert down.after < down.before
    assert up.after > up.before


def test_several_steps_are_found() -> None:
    values = noise(12, 6) + [v + 0.4 for v in noise(12, 7)] + [v + 0.8 for v in noise(12, 8)]
    assert [found.at for found in change_points(values, 0.01)] == pytest.approx([12, 24], abs=1)


def test_what_never_changed_shows_none() -> None:
    assert change_points([0.7] * 40) == ()
    assert change_points(noise(30, 9)) == ()


def test_false_alarms_are_as_rare_as_promised() -> None:
    alarms = sum(bool(change_points(noise(12, seed))) for seed in range(40))
    assert alarms <= 40 * ALPHA + 2 * (40 * ALPHA * (1 - ALPHA)) ** 0.5


def test_few_values_show_nothing_however_clear() -> None:
    assert change_points([0.1] * 3 + [0.9] * 3) == ()
    assert len(change_points([0.1] * 4 + [0.9] * 4)) == 1


@given(st.lists(st.floats(0, 1), max_size=24), st.floats(0.1, 10), st.floats(-5, 5))
@settings(max_examples=8, deadline=None)
def test_only_the_order_of_the_values_matters(values: list[float], scale: float, shift: float) -> None:
    rounded = [round(value, 2) for value in values]
    moved = [round(value * 100) * scale + shift for value in rounded]
    assert [f.at for f in change_points(rounded)] == [f.at for f in change_points(moved)]
