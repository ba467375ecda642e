"""Scores of searches whose outcome is known beforehand, and random order against its closed form."""

from __future__ import annotations

import random
from statistics import fmean

import pytest

from bench.gym.behaviour import World
from bench.gym.declared import declare
from bench.gym.outcomes import Result
from bench.gym.plants import Planted
from bench.gym.score import expected_first, score, wanted
from bench.gym.systems import Ground
from bench.gym.topology import clean
from executor.model.vocabulary import Weakness


def ground_of(count: int) -> Ground:
    """A system with so many weaknesses, of which the nth is found at ``place-n``."""
    world: World = clean("gym-test", services=12, seed=1)
    planted = tuple(
        Planted("any", f"place-{n}", frozenset({(Weakness.MISSING_TIMEOUT, f"place-{n}")}), frozenset())
        for n in range(count)
    )
    return Ground(world, declare(world, seed=1), planted)


def shows(*numbers: int) -> Result:
    return Result(
        frozenset((Weakness.MISSING_TIMEOUT, f"place-{n}") for n in numbers), ((0.5, bool(numbers)),), 0, 1, 9
    )


def test_what_is_found_when() -> None:
    steps = [("a", shows()), ("b", shows(0)), ("b", shows(0)), ("c", shows(1, 7)), ("d", shows(2))]
    told = score(steps, ground_of(4))
    assert told.found_at == [2, 4, 5]
    assert (told.true, told.false, told.duplicates, told.risk) == (3, 1, 1, 5)
    assert told.to(1) == 2
    assert told.to(4) is None
    assert told.recall(4) == 0.5
    assert told.area(5, 4) == pytest.approx((4 + 2 + 1) / 20)
    assert fmean(told.brier) == 0.25
    assert wanted(12) == 10


def test_on_a_clean_system_every_finding_is_false() -> None:
    told = score([("a", shows(0))], ground_of(0))
    assert (told.true, told.false) == (0, 1)


@pytest.mark.parametrize(("candidates", "telling"), [(40, 1), (100, 7), (300, 30)])
def test_random_order_finds_the_first_as_soon_as_the_closed_form_says(candidates: int, telling: int) -> None:
    chance, ground = random.Random(5), ground_of(telling)
    results = [shows(n) if n < telling else shows() for n in range(candidates)]
    firsts = []
    for _ in range(1500):
        order = chance.sample(range(candidates), candidates)
        firsts.append(score(((str(n), results[n]) for n in order[:200]), ground).to(1) or 201)
    if candidates <= 200:
        assert fmean(firsts) == pytest.approx(expected_first(candidates, telling), rel=0.07)
    else:
        assert fmean(firsts) == pytest.approx(expected_first(candidates, telling), rel=0.08)
