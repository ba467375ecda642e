"""Noisy-OR against plain enumeration of every state, and what must be so of it whatever the numbers are."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.beliefs import noisy_or
from knowledge.beliefs.noisy_or import Broke, posterior

LEAK = 0.02
LOOPY_WORST = 0.12
"""Loopy propagation is off by so much at worst on small dense networks, drawn as below (0.10 was seen in 300)."""
LOOPY_MEAN = 0.01
NAMES = "abcdefghi"

probabilities = st.floats(0.01, 0.99)
networks = st.tuples(
    st.dictionaries(st.sampled_from(NAMES), probabilities, min_size=2, max_size=8),
    st.lists(st.dictionaries(st.sampled_from(NAMES), st.floats(0.01, 0.97), min_size=1, max_size=5), max_size=4),
)


def enumerated(priors: Mapping[str, float], outcomes: Sequence[Broke[str]]) -> dict[str, float]:
    """By definition, with nothing clever about it."""
    total, present = 0.0, dict.fromkeys(priors, 0.0)
    for state in itertools.product((False, True), repeat=len(priors)):
        there = dict(zip(priors, state, strict=True))
        weight = 1.0
        for cause, prior in priors.items():
            weight *= prior if there[cause] else 1 - prior
        for outcome in outcomes:
            hidden = 1 - outcome.leak
            for cause, shows in outcome.shows.items():
                hidden *= 1 - shows if there.get(cause) else 1.0
            weight *= 1 - hidden
        total += weight
        for cause in priors:
            present[cause] += weight if there[cause] else 0.0
    return {cause: each / total for cause, each in present.items()}


def broke(*shows: Mapping[str, float], seen_min: float = 0.0) -> list[Broke[str]]:
    return [Broke(each, LEAK, seen_min) for each in shows]


@given(networks)
def test_few_are_exact(network):
    priors, shows = network
    assert posterior(priors, broke(*shows)) == pytest.approx(enumerated(priors, broke(*shows)), abs=1e-9)


def test_many_are_near(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(noisy_or, "EXACT_MAX", 0)
    rng = random.Random(11)
    off = []
    for _ in range(200):
        priors = {name: rng.choice([0.05, 0.1, 0.2, 0.35, 0.5, 0.8]) for name in NAMES[: rng.randint(2, 8)]}
        shows = [
            {
                name: rng.choice([0.05, 0.3, 0.5, 0.75, 0.9])
                for name in rng.sample(list(priors), rng.randint(1, len(priors)))
            }
            for _ in range(rng.randint(1, 5))
        ]
        near, exact = posterior(priors, broke(*shows)), enumerated(priors, broke(*shows))
        off += [abs(near[name] - exact[name]) for name in priors]
    assert max(off) < LOOPY_WORST
    assert sum(off) / len(off) < LOOPY_MEAN


def test_where_nothing_is_shared_many_are_exact_too(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(noisy_or, "EXACT_MAX", -1)
    priors = {"a": 0.3, "b": 0.2, "c": 0.6}
    shows = broke({"a": 0.8, "b": 0.5, "c": 0.1})
    assert posterior(priors, shows) == pytest.approx(enumerated(priors, shows), abs=1e-9)


@given(networks, st.randoms(use_true_random=False))
def test_the_order_of_what_broke_does_not_matter(network, rng):
    priors, shows = network
    outcomes = broke(*shows, seen_min=0.95)
    shuffled = list(outcomes)
    rng.shuffle(shuffled)
    assert posterior(priors, shuffled) == pytest.approx(posterior(priors, outcomes), abs=1e-12)


@given(networks)
def test_the_first_thing_that_broke_lowers_no_cause_of_it_and_moves_nothing_else(network):
    priors, shows = network
    for each in shows:
        found = posterior(priors, broke(each))
        for cause, prior in priors.items():
            assert found[cause] >= prior - 1e-9 if cause in each else found[cause] == prior


@given(networks)
def test_nothing_becomes_certain(network):
    priors, shows = network
    assert all(0 < each < 1 for each in posterior(priors, broke(*shows, seen_min=0.95)).values())


def test_what_broke_raises_the_likeliest_most_and_the_others_fall_back_once_it_is_confirmed():
    priors = {"likely": 0.4, "rare": 0.1}
    both = broke({"likely": 0.8, "rare": 0.8})
    first = posterior(priors, both)
    assert first["likely"] > 0.75 > 0.35 > first["rare"] > priors["rare"]
    confirmed = posterior(priors, [*both, *broke({"likely": 0.8})])
    assert confirmed["likely"] > first["likely"]
    assert priors["rare"] < confirmed["rare"] < first["rare"] - 0.05
    cleared = posterior({**priors, "likely": 0.4 * 0.05}, both)  # the likely one has held elsewhere since
    assert cleared["rare"] > 0.6


@pytest.mark.parametrize("seen_min", [0.5, 0.9, 0.95])
def test_that_one_of_them_is_there_is_believed_as_much_as_is_wanted(seen_min):
    alone = posterior({"a": 0.02}, broke({"a": 0.1}, seen_min=seen_min))["a"]
    assert alone == pytest.approx(max(seen_min, posterior({"a": 0.02}, broke({"a": 0.1}))["a"]), abs=1e-6)
    two = posterior({"a": 0.02, "b": 0.02}, broke({"a": 0.1, "b": 0.1}, seen_min=seen_min))
    assert two["a"] == pytest.approx(two["b"])
    assert seen_min / 2 < two["a"] < 0.75


def test_hundreds_that_hang_together_are_reckoned_at_once_and_the_same_each_time():
    rng = random.Random(3)
    priors = {f"w{n}": 0.2 for n in range(300)}
    outcomes = broke(*(dict.fromkeys(rng.sample(list(priors), 6), 0.6) for _ in range(120)), seen_min=0.95)
    first = posterior(priors, outcomes)
    assert first == posterior(priors, outcomes)
    assert all(0 < each < 1 for each in first.values())
