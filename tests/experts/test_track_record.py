from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.model.vocabulary import Verdict, Weakness
from experts.track_record import CEILING, FLOOR, Record, pool, track_record, weights
from knowledge.calibration import COIN_LOG

START = datetime(2026, 11, 1, tzinfo=UTC)
probabilities = st.floats(0, 1)
ratios = st.floats(0.2, 3)


@dataclass(frozen=True)
class Said:
    expert: str
    probability: float
    verdict: Verdict
    at: datetime = START
    weakness: Weakness = Weakness.MISSING_TIMEOUT
    place: str = "a->b"
    run: str = "run-1"


def one(*said: Said) -> Record:
    (record,) = track_record(said)
    return record


def many(probability: float, verdict: Verdict, count: int, since: int = 0) -> list[Said]:
    return [Said("x", probability, verdict, START + timedelta(hours=since + hour)) for hour in range(count)]


def test_scores_are_those_of_the_books() -> None:
    record = one(Said("x", 0.8, Verdict.BREAKS), Said("x", 0.4, Verdict.HOLDS))
    assert record.n == 2
    assert record.log_score == pytest.approx(-(math.log(0.8) + math.log(0.6)) / 2)
    assert record.brier == pytest.approx((0.04 + 0.16) / 2)
    assert record.mean_predicted == pytest.approx(0.6)
    assert record.mean_outcome == 0.5


def test_only_a_clear_verdict_scores() -> None:
    unclear = [Said("x", 0.9, Verdict.INCONCLUSIVE), Said("x", 0.9, Verdict.ABORTED)]
    assert track_record(unclear) == []
    assert one(*unclear, Said("x", 0.9, Verdict.BREAKS)).n == 1


def test_a_coin_weighs_one_the_better_more_the_worse_less() -> None:
    assert one(*many(0.5, Verdict.BREAKS, 30)).weight == pytest.approx(1)
    assert one(*many(0.9, Verdict.BREAKS, 30)).weight > 1.5
    assert one(*many(0.9, Verdict.HOLDS, 30)).weight == FLOOR
    assert one(*many(0.95, Verdict.BREAKS, 1)).weight < 1.4, "one lucky guess moves little"
    assert one(*many(1, Verdict.BREAKS, 500)).weight == CEILING


def test_lately_counts_for_more_than_long_ago() -> None:
    better = many(0.9, Verdict.HOLDS, 10) + many(0.9, Verdict.BREAKS, 10, since=10)
    worse = many(0.9, Verdict.BREAKS, 10) + many(0.9, Verdict.HOLDS, 10, since=10)
    assert one(*better).log_score == pytest.approx(one(*worse).log_score)
    assert one(*better).weight > one(*worse).weight


def test_calibration_puts_like_with_like() -> None:
    record = one(*many(0.1, Verdict.HOLDS, 9), *many(0.1, Verdict.BREAKS, 1), *many(0.7, Verdict.BREAKS, 2))
    assert [(round(b.said, 2), b.came_true, b.n) for b in record.calibration] == [(0.1, 0.1, 10), (0.7, 1.0, 2)]
    assert record.by_weakness == (("missing_timeout", 12, pytest.approx(record.log_score)),)


def test_the_best_comes_first() -> None:
    found = track_record([Said("good", 0.9, Verdict.BREAKS), Said("bad", 0.1, Verdict.BREAKS)])
    assert [record.expert for record in found] == ["good", "bad"]
    assert list(weights(found)) == ["good", "bad"]


@given(st.dictionaries(st.sampled_from("abcdef"), probabilities), st.dictionaries(st.sampled_from("abcdef"), ratios))
def test_a_pool_lies_between_the_opinions(opinions: dict[str, float], given: dict[str, float]) -> None:
    pooled = pool(opinions, given)
    assert 0 < pooled < 1
    if opinions:
        kept = [min(max(p, 0.01), 0.99) for p in opinions.values()]
        assert min(kept) - 1e-9 <= pooled <= max(kept) + 1e-9


def test_a_pool_follows_the_weights() -> None:
    said = {"a": 0.9, "b": 0.1}
    assert pool(said, {}) == pytest.approx(0.5)
    assert pool(said, {"a": 3.0}) > 0.7
    assert pool({"a": 0.3, "b": 0.3}, {"a": 2.0}) == pytest.approx(0.3)
    assert pool({}, {}) == 0.5
    assert pytest.approx(math.log(2)) == COIN_LOG
