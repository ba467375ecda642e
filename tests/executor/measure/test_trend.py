from __future__ import annotations

import random
from itertools import combinations, permutations

import pytest

from executor.measure.consistency import outliers, variation
from executor.measure.trend import TREND_MIN, mann_kendall, trend


def score(values: tuple[int, ...]) -> int:
    return abs(sum((b > a) - (b < a) for a, b in combinations(values, 2)))


def test_the_exact_chance_is_the_share_of_orders_that_are_as_strict() -> None:
    orders = list(permutations(range(6)))
    for order in orders[::37]:
        as_strict = sum(score(other) >= score(order) for other in orders)
        assert mann_kendall(order) == pytest.approx(as_strict / len(orders))


def test_against_published_values() -> None:
    """Source: R. O. Gilbert, "Statistical Methods for Environmental Pollution Monitoring", table A18, one-sided."""
    ten = [0, 1, 2, 3, 4, 9, 8, 7, 6, 5]  # ten pairs the wrong way round of 45: S = 25
    assert score(tuple(ten)) == 25
    assert mann_kendall(ten) / 2 == pytest.approx(0.014, abs=5e-4)
    assert mann_kendall([1, 2, 3, 4, 5]) / 2 == pytest.approx(0.0083, abs=5e-5)


def test_a_planted_leak_is_found_with_its_size() -> None:
    chance = random.Random(1)
    seen = trend([2 + 0.3 * n + chance.gauss(0, 0.1) for n in range(12)])
    assert seen is not None and seen.low is not None and seen.high is not None
    assert seen.low < 0.3 < seen.high
    assert seen.p_value < 0.001


def test_what_never_changes_seldom_shows_a_trend() -> None:
    chance = random.Random(2)
    seen = [trend([chance.gauss(3, 1) for _ in range(8)]) for _ in range(400)]
    alarms = sum(each is not None and each.p_value < 0.05 for each in seen)
    assert alarms <= 0.05 * 400 + 9  # two standard deviations
    steady = trend([1.0] * 8)
    assert steady is not None
    assert (steady.slope, steady.p_value) == (0, 1)


def test_too_few_values_have_no_trend() -> None:
    assert trend([1.0, 2, 3, 4]) is None
    assert TREND_MIN == 5


def test_ties_are_no_order() -> None:
    tied = [1.0, 1, 1, 1, 2, 2, 2, 2]
    assert 0.01 < mann_kendall(tied) < 0.05


def test_outliers_stand_apart_by_more_than_sampling_can_tell() -> None:
    values = [1.0, 1.1, 0.9, 1.05, 5.0, 0.95]
    assert outliers(values) == [4]
    assert outliers(values, sure=6) == []
    assert outliers([1.0, 1, 1, 1, 1, 4]) == [5]  # more than half are equal
    assert outliers([1.0] * 6) == []
    assert outliers([1.0, 9, 1, 1]) == []  # too few to say


def test_the_coefficient_of_variation() -> None:
    assert variation([2.0, 4, 4, 4, 5, 5, 7, 9]) == pytest.approx(2.13809 / 5, abs=1e-5)
    assert variation([0.0, 0]) == 0
