"""When it is enough, and the reason that is given."""

from __future__ import annotations

import pytest

from executor.model.vocabulary import Weakness
from knowledge.beliefs import Belief
from planner.objectives import WORTH_MIN, Budget, Objective, Why, progress, stop
from tests.planner.systems import bazaar

KEY = (Weakness.HARD_DEPENDENCY, "web->tips")


def belief(probability: float, place: str = KEY[1]) -> Belief:
    return Belief(KEY[0], place, 100 * probability, 100 * (1 - probability), ())


@pytest.mark.parametrize(
    ("probability", "found", "met"),
    [(0.04, False, True), (0.06, False, False), (0.5, True, True), (0.96, False, True), (0.05, False, False)],
)
def test_a_place_that_matters_is_settled_when_ruled_out_or_found(probability: float, found: bool, met: bool) -> None:
    reached = progress([belief(probability)], bazaar(), {KEY} if found else ())
    assert reached.met is met
    assert reached.shown + reached.ruled_out + len(reached.open) == 1


def test_what_nobody_would_miss_need_not_be_settled() -> None:
    assert progress([belief(0.5, "tips")], bazaar()).met
    assert progress([belief(0.5, "tips")], bazaar(), objective=Objective(criticality_min=0)).open == ((KEY[0], "tips"),)


def test_each_reason_to_stop_is_said_and_the_objective_comes_first() -> None:
    budget = Budget(2, 60)
    met, not_met = progress([belief(0.01)], bazaar()), progress([belief(0.5)], bazaar())
    cases = {
        Why.OBJECTIVE: stop([1.0], budget, reached=met),
        Why.EXHAUSTED: stop([], budget, reached=not_met),
        Why.BUDGET: stop([1.0], budget, taken=2),
        Why.WORTH: stop([WORTH_MIN / 2], budget),
    }
    assert {why: found.why for why, found in cases.items() if found} == {why: why for why in Why}
    late = stop([1.0], budget, fits=False)
    assert late is not None
    assert "60 s" in late.text
    assert stop([1.0], budget, taken=1, reached=not_met) is None
    assert stop([1.0]) is None
