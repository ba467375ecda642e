"""Frequent sets: what is there is found with its numbers, and what is chance is called so."""

from __future__ import annotations

import random

import pytest

from executor.model.vocabulary import Verdict, Weakness
from knowledge.patterns.frequent import PLACES_MIN, RUNS_MIN, at_least, frequent
from tests.knowledge.patterns.histories import row, runs


def test_a_technology_that_breaks_everywhere_is_found_with_support_and_lift():
    outcomes = [(f"a->go{n}", "go", "leaf", True) for n in range(8)]
    outcomes += [(f"a->py{n}", "flask", "leaf", n == 0) for n in range(12)]
    found = frequent(list(runs(outcomes)))
    assert (found.runs, found.places, found.enough) == (3, 20, True)
    first = found.sets[0]
    assert (first.weakness, first.items) == (Weakness.MISSING_TIMEOUT, (("technology", "go"),))
    assert (first.broke.good, first.broke.n) == (8, 8)
    assert first.support == pytest.approx(8 / 20)
    assert first.lift == pytest.approx(1 / (9 / 20))
    assert first.p_value == pytest.approx(at_least(8, 8, 9, 20))
    assert first.certain
    assert first.runs == 3
    assert [each.items for each in found.sets] == [(("technology", "go"),)]  # flask broke at one place only


def test_technology_and_position_together():
    outcomes = [(f"a->x{n}", "redis", "hub", True) for n in range(6)]
    outcomes += [(f"a->y{n}", "redis", "leaf", False) for n in range(6)]
    outcomes += [(f"a->z{n}", "flask", "hub", False) for n in range(6)]
    found = frequent(list(runs(outcomes)))
    assert found.sets[0].items == (("technology", "redis"), ("position", "hub"))
    assert found.sets[0].lift == pytest.approx(3)
    assert found.sets[0].certain


def test_a_place_counts_once_however_often_it_was_tried_and_by_its_latest_verdict():
    outcomes = [("a->one", "go", "leaf", True), ("a->two", "go", "leaf", True), ("a->three", "flask", "leaf", False)]
    assert frequent(list(runs(outcomes, times=20))).sets == ()  # two places are no pattern
    assert PLACES_MIN == 3
    mended = [row("run-9", f"a->go{n}", Verdict.HOLDS, technology="go") for n in range(4)]
    broken = list(runs([(f"a->go{n}", "go", "leaf", True) for n in range(4)] + [("a->x", "flask", "leaf", False)]))
    assert frequent([*broken, *mended]).sets == ()


def test_too_few_runs_say_nothing():
    outcomes = [(f"a->go{n}", "go", "leaf", True) for n in range(30)] + [("a->b", "flask", "leaf", False)]
    found = frequent(list(runs(outcomes, times=RUNS_MIN - 1)))
    assert (found.sets, found.enough) == ((), False)
    assert not frequent([]).enough


def test_what_was_never_decided_counts_nowhere():
    outcomes = [row(f"run-{n}", f"a->b{n}", Verdict.INCONCLUSIVE) for n in range(9)]
    assert frequent(outcomes).places == 0


def test_chance_is_rarely_called_more_than_that():
    draw = random.Random(1)
    false = 0
    for _ in range(100):
        outcomes = [
            (f"a->b{n}", draw.choice(("go", "flask", "node")), draw.choice(("leaf", "hub")), draw.random() < 0.4)
            for n in range(30)
        ]
        false += any(each.certain for each in frequent(list(runs(outcomes))).sets)
    assert false <= 10  # 5 % is allowed for


def test_the_chance_of_a_draw():
    assert at_least(0, 5, 3, 10) == 1
    assert at_least(3, 3, 3, 10) == pytest.approx(1 / 120)
    assert at_least(1, 1, 3, 10) == pytest.approx(0.3)
