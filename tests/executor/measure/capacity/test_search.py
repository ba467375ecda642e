from __future__ import annotations

from collections.abc import Callable

from hypothesis import assume, given
from hypothesis import strategies as st

from executor.measure.capacity.search import MaximumSearch, Outcome


def _search(oracle: Callable[[float], Outcome], start: float = 10, limit: float = 1e5, **more: float) -> MaximumSearch:
    search = MaximumSearch(start, limit, **more)
    while (rate := search.next_rps()) is not None:
        assert search.outcomes.get(rate) in (None, "violated")  # only that is doubted
        search.settle(rate, oracle(rate))
    return search


@given(st.floats(10, 9e4), st.sampled_from([0.02, 0.05, 0.2]))
def test_the_maximum_lies_in_the_interval_and_the_interval_is_narrow(maximum: float, resolution: float) -> None:
    search = _search(lambda rate: "stable" if rate <= maximum else "violated", resolution=resolution)
    found = search.result()
    assert found.verdict == "found"
    assert found.low_rps is not None
    assert found.high_rps is not None
    assert found.low_rps <= maximum < found.high_rps <= found.low_rps * (1 + resolution) * (1 + 1e-9)
    assert len(search.outcomes) <= 22


@given(st.floats(20, 5e4), st.floats(1.001, 1.3))
def test_where_the_test_cannot_tell_both_ends_are_still_what_was_seen(maximum: float, doubt: float) -> None:
    def oracle(rate: float) -> Outcome:
        if maximum / doubt < rate < maximum * doubt:
            return "undecided"
        return "stable" if rate <= maximum else "violated"

    found = _search(oracle).result()
    assert found.verdict == "found"
    assert found.low_rps is not None
    assert found.high_rps is not None
    assert found.low_rps <= maximum <= found.high_rps
    assert found.high_rps / found.low_rps <= doubt**2 * 1.05**2 * (1 + 1e-9)


@given(st.floats(10, 9e4))
def test_a_generator_that_cannot_go_on_leaves_a_lower_end(ceiling: float) -> None:
    found = _search(lambda rate: "stable" if rate <= ceiling else "unreachable").result()
    assert (found.verdict, found.high_rps, found.why) == ("at_least", None, "more could not be generated")
    assert found.low_rps is not None
    assert ceiling / 1.06 <= found.low_rps <= ceiling


def test_all_that_may_be_tried_is_carried() -> None:
    search = _search(lambda _: "stable", limit=300)
    assert list(search.outcomes) == [10, 20, 40, 80, 160, 300]
    assert (search.result().verdict, search.result().low_rps) == ("at_least", 300)


@given(st.floats(1.3, 10))
def test_a_start_that_is_too_high_goes_down(maximum: float) -> None:
    found = _search(lambda rate: "stable" if rate <= maximum else "violated").result()
    assert found.verdict == "found"
    assert found.low_rps is not None
    assert found.low_rps <= maximum


@given(st.floats(11, 5e4), st.integers(0, 12))
def test_a_service_that_stands_still_once_is_not_taken_for_a_small_one(maximum: float, stands: int) -> None:
    """Neither at its first rate, when it has just begun, nor later."""
    turns = iter(range(100))

    def oracle(rate: float) -> Outcome:
        return "stable" if next(turns) != stands and rate <= maximum else "violated"

    search = _search(oracle)
    found = search.result()
    assert found.verdict == "found"
    assert found.low_rps is not None
    assert found.high_rps is not None
    assert found.low_rps <= maximum < found.high_rps <= found.low_rps * 1.05**2


def test_what_is_never_carried() -> None:
    search = _search(lambda _: "violated")
    assert list(search.outcomes) == [10, 5, 2.5, 1.25]
    found = search.result()
    assert (found.verdict, found.low_rps, found.high_rps) == ("below", None, 1.25)


def test_what_is_never_told_is_inconclusive_without_a_number() -> None:
    found = _search(lambda _: "undecided").result()
    assert (found.verdict, found.low_rps, found.high_rps, found.confidence) == ("inconclusive", None, None, 0)


@given(st.lists(st.sampled_from(["stable", "violated", "undecided", "unreachable"]), min_size=30, max_size=30))
def test_it_ends_and_claims_nothing_else_than_it_saw_whatever_comes(answers: list[Outcome]) -> None:
    left = list(answers)
    search = _search(lambda _: left.pop())
    assert len(search.outcomes) <= 24
    found = search.result()
    assume(found.low_rps is not None)
    assert found.low_rps is not None
    assert search.outcomes[found.low_rps] == "stable"
    if found.high_rps is not None:
        assert search.outcomes[found.high_rps] == "violated"
        assert found.low_rps < found.high_rps
