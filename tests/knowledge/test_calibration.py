from __future__ import annotations

import math
import random

import pytest

from knowledge.calibration import COIN_BRIER, COIN_LOG, calibration


def test_nothing_said_is_no_calibration() -> None:
    assert calibration([], 10) is None


def test_scores_are_those_of_the_books() -> None:
    found = calibration([(0.8, True), (0.4, False)], 10)
    assert found is not None
    assert found.brier == pytest.approx((0.04 + 0.16) / 2)
    assert found.log_score == pytest.approx(-(math.log(0.8) + math.log(0.6)) / 2)
    coin = calibration([(0.5, True), (0.5, False)], 10)
    assert coin is not None
    assert (coin.brier, coin.log_score, coin.skill) == (COIN_BRIER, pytest.approx(COIN_LOG), 0)


def test_a_certain_miss_costs_much_and_not_infinitely_much() -> None:
    found = calibration([(0.0, True)], 10)
    assert found is not None
    assert found.log_score == pytest.approx(-math.log(0.01))


def test_who_says_what_comes_true_lies_on_the_line_and_who_does_not_is_seen_to() -> None:
    chance = random.Random(3)
    said = [chance.random() for _ in range(2000)]
    honest = calibration([(p, chance.random() < p) for p in said], 10)
    assert honest is not None
    assert len(honest.bins) == 10
    assert sum(each.n for each in honest.bins) == 2000
    assert sum(each.fits for each in honest.bins) >= 8
    assert honest.skill > 0.2
    boastful = calibration([(p, chance.random() < p / 2) for p in said], 10)
    assert boastful is not None
    assert not any(each.fits for each in boastful.bins[3:])
    assert boastful.skill < honest.skill
