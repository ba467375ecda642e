from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.measure.intervals import Share, mean_interval, quantile, quantile_interval, rate_ratio

counts = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def test_wilson_against_published_values() -> None:
    """Source: R. G. Newcombe, Statistics in Medicine 17 (1998), table I, method 3."""
    for good, n, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)):
        share = Share(good, n)
        assert (share.low, share.high) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


@given(counts)
def test_a_share_lies_in_its_interval(count: tuple[int, int]) -> None:
    share = Share(*count)
    assert 0 <= share.low <= share.value <= share.high <= 1


@given(counts, st.integers(2, 20))
def test_more_data_narrow_a_share(count: tuple[int, int], times: int) -> None:
    good, n = count
    few, many = Share(good, n), Share(good * times, n * times)
    assert many.high - many.low < few.high - few.low


def test_an_empty_share_says_nothing() -> None:
    assert (Share(0, 0).low, Share(0, 0).high) == (0.0, 1.0)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=200), st.sampled_from([0.5, 0.95]))
def test_a_quantile_is_one_of_the_values_and_in_its_interval(values: list[float], q: float) -> None:
    ordered = sorted(values)
    value = quantile(ordered, q)
    low, high = quantile_interval(ordered, q)
    assert value in ordered
    assert sum(v <= value for v in ordered) >= q * len(ordered)
    assert low is None or low <= value
    assert high is None or high >= value


def test_a_small_sample_bounds_no_high_quantile() -> None:
    assert quantile_interval([1.0] * 20, 0.95)[1] is None
    assert quantile_interval(sorted(float(n) for n in range(1000)), 0.95)[1] is not None


@given(st.lists(st.floats(0, 1000), min_size=2, max_size=30))
def test_the_mean_lies_about_its_interval_and_repeats(values: list[float]) -> None:
    low, high = mean_interval(values)
    assert min(values) - 1e-6 <= low <= high <= max(values) + 1e-6
    assert mean_interval(list(reversed(values))) == (low, high)


@given(st.integers(0, 500), st.integers(1, 500), st.floats(0.5, 60), st.floats(0.5, 60))
def test_a_rate_ratio_lies_in_its_interval(events: int, base: int, span_s: float, base_span_s: float) -> None:
    ratio = rate_ratio(events, span_s, base, base_span_s)
    assert ratio is not None
    assert ratio.value == pytest.approx((events / span_s) / (base / base_span_s))
    assert ratio.low <= ratio.value * (1 + 1e-9)
    assert ratio.high >= ratio.value * (1 - 1e-9) or math.isinf(ratio.high)


def test_nothing_to_compare_with_gives_no_ratio() -> None:
    assert rate_ratio(5, 1, 0, 1) is None
    assert rate_ratio(5, 0, 5, 1) is None
