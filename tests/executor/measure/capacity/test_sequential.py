from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from executor.load.profile import constant
from executor.measure.capacity.sequential import Decision, LevelTest
from tests.executor.measure.capacity.simulated import queueing, served, window

GOOD_S = 0.2


def _decide(share: float, workers: int, service_s: float, spread: str, seed: int) -> Decision:
    """What a load of so much of the capacity is found to be."""
    chance = random.Random(seed)
    kinds: dict[str, Callable[[], float]] = {
        "fixed": lambda: service_s,
        "exponential": lambda: chance.expovariate(1 / service_s),
        "lognormal": lambda: service_s * chance.lognormvariate(-0.08, 0.4),
    }
    test = LevelTest(0.95, warmup_s=2 * GOOD_S)
    rate = share * workers / service_s
    for each in queueing([constant(rate, 8)], workers, kinds[spread], good_within_s=GOOD_S):
        if test.add(each) != "undecided":
            break
    return test.decision


@pytest.mark.parametrize(("workers", "service_s"), [(20, 0.05), (4, 0.02)])
@pytest.mark.parametrize("share", [0.5, 0.9, 0.97, 1.03, 1.06, 1.5])
def test_fixed_service_times_are_told_apart_within_3_percent(share: float, workers: int, service_s: float) -> None:
    assert _decide(share, workers, service_s, "fixed", 0) == ("stable" if share < 1 else "violated")


@pytest.mark.parametrize("spread", ["exponential", "lognormal"])
@pytest.mark.parametrize("share", [0.5, 0.8, 1.2, 2.0])
def test_service_times_at_random_hardly_ever_mislead_it(share: float, spread: str) -> None:
    wrong = "violated" if share < 1 else "stable"
    decisions = [_decide(share, 20, 0.05, spread, seed) for seed in range(15)]
    assert decisions.count(wrong) == 0
    assert decisions.count("undecided") <= 3


def test_a_hiccup_is_not_taken_for_an_overload() -> None:
    """One window of ten in which all go wrong is within no promise of 95 %, but no sign of what goes on either."""
    test = LevelTest(0.95, warmup_s=0)
    for each in served([1, 1, 0.0, 1, 1, 1, 1, 1]):
        assert test.add(each) == "undecided"


def test_a_promise_of_three_nines_takes_thousands_of_requests() -> None:
    test = LevelTest(0.999, warmup_s=0, windows_max=1000)
    while test.add(served([1.0], begin_s=0.2 * len(test.windows))[0]) == "undecided":
        pass
    assert test.decision == "stable"
    assert sum(each.due for each in test.windows) > 4000


def test_a_service_that_turns_the_surplus_away_keeps_no_promise_though_no_queue_grows() -> None:
    test = LevelTest(0.95, warmup_s=0)
    for k in range(8):
        test.add(window(k * 0.2, 40, 30, status_503=10))
    assert (test.decision, test.why) == ("violated", "the promise is not kept")


def test_what_comes_while_it_warms_up_does_not_count() -> None:
    test = LevelTest(0.95, warmup_s=1.0)
    for each in served([0.0] * 5 + [1.0] * 8):
        test.add(each)
    assert test.decision == "stable"
    assert test.windows[0].at_s == 1.0


def test_it_gives_up_undecided() -> None:
    test = LevelTest(0.95, warmup_s=0, windows_max=10)
    for each in served([0.95] * 20):
        test.add(each)
    assert (test.decision, test.over, len(test.windows)) == ("undecided", True, 10)


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5])
def test_a_promise_of_all_or_nothing_cannot_be_tested(share: float) -> None:
    with pytest.raises(ValueError, match="neither shown nor refuted"):
        LevelTest(share, warmup_s=0)


def test_nothing_due_decides_nothing() -> None:
    test = LevelTest(0.95, warmup_s=0, windows_max=20)
    for k in range(20):
        assert test.add(window(k * 0.2, 0, 0, under_way=0)) == "undecided"
