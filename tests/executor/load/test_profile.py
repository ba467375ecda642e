from __future__ import annotations

import math
import random
from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.load.profile import Segment, arrivals, constant

rates = st.floats(1, 500)
segments = st.lists(st.builds(Segment, rates, rates, st.floats(0.1, 5)), min_size=1, max_size=4)


@given(segments)
def test_as_many_are_due_by_any_time_as_the_rate_says(profile: list[Segment]) -> None:
    due = list(arrivals(profile))
    assert due == sorted(due)
    total = sum(segment.count for segment in profile)
    assert abs(len(due) - total) <= 1 + 1e-6 * total
    begin_s = before = 0.0
    for segment in profile:
        half_s = segment.seconds / 2
        slope = (segment.end_rps - segment.start_rps) / segment.seconds
        expected = before + segment.start_rps * half_s + slope * half_s**2 / 2
        seen = sum(at_s < begin_s + half_s for at_s in due)
        assert abs(seen - expected) <= 1 + 1e-6 * expected
        begin_s, before = begin_s + segment.seconds, before + segment.count


def test_a_constant_rate_is_evenly_spaced_and_begins_at_once() -> None:
    assert list(arrivals([constant(4, 1)])) == [0, 0.25, 0.5, 0.75]


def test_a_ramp_from_nothing_and_one_to_nothing() -> None:
    up = list(arrivals([Segment(0, 100, 2)]))
    down = list(arrivals([Segment(100, 0, 2)]))
    assert len(up) == len(down) == 100
    assert up[1] == pytest.approx(math.sqrt(2 * 2 / 100))
    assert [b - a for a, b in pairwise(up)] == sorted((b - a for a, b in pairwise(up)), reverse=True)
    assert [b - a for a, b in pairwise(down)] == sorted(b - a for a, b in pairwise(down))


def test_nothing_is_due_in_a_pause() -> None:
    due = list(arrivals([constant(10, 1), constant(0, 5), constant(10, 1)]))
    assert len(due) == 20
    assert not [at_s for at_s in due if 1 <= at_s < 6]


def test_a_rate_without_end_goes_on() -> None:
    assert list(islice(arrivals([constant(50)]), 100_000))[-1] == pytest.approx(99_999 / 50)


def test_at_random_the_gaps_are_exponential() -> None:
    due = list(arrivals([constant(1000, 20)], random.Random(1)))
    gaps = [b - a for a, b in pairwise(due)]
    mean = sum(gaps) / len(gaps)
    assert mean == pytest.approx(0.001, rel=0.03)
    assert math.sqrt(sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) == pytest.approx(mean, rel=0.05)
    assert sum(gap > 2 * mean for gap in gaps) / len(gaps) == pytest.approx(math.exp(-2), rel=0.1)
    assert due == list(arrivals([constant(1000, 20)], random.Random(1)))
