"""Scores of planted measures, reckoned by hand beside them."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from executor.model.vocabulary import Environment, Verdict, Weakness
from knowledge.features import Features
from knowledge.resilience.change_points import ALPHA
from knowledge.resilience.comparison import krkn, litmus
from knowledge.resilience.measures import Dimension, Measure
from knowledge.resilience.score import Coverage, score, services
from knowledge.resilience.scoring import Scoring, Weights
from knowledge.resilience.trends import SCORE, Trends, trends
from knowledge.rows import PastRow, PastRun
from tests.knowledge.runs import MORNING

USUAL = Scoring()
A, L, T, R, C, G = Dimension
"""Availability, latency, (time to) detection, recovery, containment, (graceful) degradation."""


def measure(dimension: Dimension, value: float | None, promised: float | None = None, **fields: Any) -> Measure:
    given_fields: dict[str, Any] = {
        "service": "front",
        "experiment": "e1",
        "of": "home",
        "low": value,
        "high": value,
        "weight": 1.0,
        "criticality": 3,
        "critical": False,
    }
    return Measure(dimension=dimension, value=value, promised=promised, **{**given_fields, **fields})


def value_of(*measures: Measure, scoring: Scoring = USUAL) -> float:
    found = score("shop", measures, scoring)
    assert found is not None
    assert found.low <= found.value <= found.high
    return found.value


@pytest.mark.parametrize(
    ("one", "counts"),
    [
        (measure(A, 0.475, 0.95), 0.5),
        (measure(A, 1.0, 0.95), 1),
        (measure(L, 1000, 500), 0.5),
        (measure(L, 100, 500), 1),
        (measure(T, 4, 2), 0.5),
        (measure(T, 40), 0.25),  # nothing was promised: ten seconds are good enough
        (measure(T, 0), 1),
        (measure(R, 20, 5), 0.25),
        (measure(R, 60), 0.5),
        (measure(C, 0.75, 1), 0.75),
        (measure(G, 0.19, 0.95), 0.2),
    ],
)
def test_each_dimension_is_held_against_what_was_promised(one: Measure, counts: float) -> None:
    assert value_of(one) == pytest.approx(counts)


def test_the_score_is_the_weighted_geometric_mean_of_what_was_tested() -> None:
    measures = [measure(A, 0.5, 1), measure(R, 10, 1), measure(C, 0.8, 1)]
    by_hand = (0.5**3 * 0.1**2 * 0.8**1.5) ** (1 / 6.5)
    assert value_of(*measures) == pytest.approx(by_hand)
    found = score("shop", measures, USUAL)
    assert found is not None
    assert found.untested == (L, T, G)
    found = score("shop", measures, Scoring(weights=Weights(latency=0, recovery=0)))
    assert found is not None
    assert (found.untested, set(found.parts)) == ((T, G), {A, C})


def test_a_zero_is_not_averaged_away() -> None:
    well = [measure(d, 1.0, 1) for d in (A, L, T, C, G)]
    never = measure(R, None, 5)
    assert value_of(*well, never) == pytest.approx(0.01 ** (2 / 10))
    assert value_of(*well, never, scoring=Scoring(floor=0)) == 0
    assert value_of(*well) == 1


def test_operations_count_as_often_as_they_are_used_and_services_as_they_matter() -> None:
    assert value_of(measure(A, 1.0, 1, weight=3), measure(A, 0.2, 1)) == pytest.approx(0.8)
    minor = measure(A, 0.2, 1, service="tips", criticality=0)
    assert value_of(measure(A, 1.0, 1), minor) == pytest.approx((1 + 0.25 * 0.2) / 1.25)
    front, tips = services([measure(A, 1.0, 1), minor], USUAL)
    assert (front.of, front.value, tips.of, tips.value) == ("front", 1, "tips", pytest.approx(0.2))


def test_what_was_not_tested_has_no_score() -> None:
    assert score("shop", [], USUAL) is None
    assert score("shop", [measure(A, 1.0, 1)], Scoring(weights=Weights(availability=0))) is None
    assert services([], USUAL) == ()
    assert (Coverage(0, 0).share, Coverage(3, 12).share) == (0, 0.25)
    with pytest.raises(ValidationError, match="at least one dimension"):
        Weights(**dict.fromkeys(Dimension, 0))


def test_the_interval_is_as_wide_as_what_was_measured() -> None:
    def width(low: float, high: float, times: int) -> float:
        found = score("shop", [measure(A, 0.6, 1, low=low, high=high)] * times, USUAL)
        assert found is not None
        return found.high - found.low

    assert width(0.6, 0.6, 1) == 0
    assert width(0.5, 0.7, 1) == pytest.approx(0.2, abs=0.03)
    assert width(0.5, 0.7, 16) < width(0.5, 0.7, 1) / 2
    spread = score("shop", [measure(A, 0.2, 1), measure(A, 1.0, 1)] * 8, USUAL)
    assert spread is not None
    assert spread.high - spread.low == pytest.approx(2 * 1.96 * 0.4 / 4, abs=0.06)  # of a mean of sixteen


@given(st.lists(st.tuples(st.sampled_from(Dimension), st.floats(0, 1)), min_size=1, max_size=12))
def test_a_score_lies_between_its_best_and_worst_dimension(told: list[tuple[Dimension, float]]) -> None:
    found = score("shop", [measure(d, v, 1) for d, v in told], USUAL)
    assert found is not None
    values = [max(part.value, USUAL.floor) for part in found.parts.values()]
    assert min(values) - 1e-9 <= found.value <= max(values) + 1e-9
    assert score("shop", [measure(d, v, 1) for d, v in told], USUAL) == found  # seeded


def test_the_words_give_every_number() -> None:
    said = "\n".join(Scoring(weights=Weights(latency=7.5), detection_s=12, recovery_s=34, floor=0.05).words())
    for number in ("latency 7.5", "12 s", "34 s", "0.05", "3: 1"):
        assert number in said


def row(experiment: str, verdict: Verdict, run: str = "run-1", fault: str = "service.crash") -> PastRow:
    return PastRow(
        run=run,
        system="shop",
        experiment=experiment,
        hypothesis="h",
        weakness=Weakness.HARD_DEPENDENCY,
        place="front->back",
        statement="",
        fault=fault,
        verdict=verdict,
        reason="",
        predicted=0.5,
        at=MORNING,
        features=Features(Weakness.HARD_DEPENDENCY, "shop", "front->back", "edge", "http", ""),
    )


def test_litmus_and_krkn_by_their_own_formulas() -> None:
    holds, breaks = Verdict.HOLDS, Verdict.BREAKS
    results = [row("e1", holds), row("e1", holds), row("e1", breaks), row("e2", Verdict.INCONCLUSIVE)]
    assert litmus(results) == 33  # (66 + 0) / 2
    assert litmus([*results, row("e3", holds)]) == 55.33  # (66 + 0 + 100) / 3, cut
    assert litmus([]) is None
    slos = [measure(A, 0.5, 0.95, critical=True), *[measure(A, 1, 0.95)] * 2, measure(L, 600, 500)]
    assert krkn(slos) == 33  # of 3 + 1 + 1 + 1 points 4 are lost
    assert krkn([*slos, measure(G, 1, 0.95, experiment="e2"), measure(R, None, experiment="e3")]) == 66
    assert krkn([measure(R, 1, 5)]) is None


def past(number: int, mttr_s: float | None, share: float, fault: str = "service.crash") -> tuple[PastRun, Any, PastRow]:
    name = f"run-{number:03}"
    run = PastRun(
        run=name,
        plan_id="p",
        plan_digest="",
        system="shop",
        system_digest="",
        environment=Environment.DEVELOPMENT,
        goal="",
        approver="",
        started=MORNING + timedelta(days=number),
        duration_s=1,
        outcome="completed",
    )
    measures = (measure(A, share, 0.95, low=share - 0.02, high=share), measure(R, mttr_s, 5))
    return run, measures, row("e1", Verdict.HOLDS, name, fault)


def over(*told: tuple[PastRun, Any, PastRow]) -> Trends:
    return trends([run for run, _, _ in told], {run.run: m for run, m, _ in told}, [r for _, _, r in told], USUAL)


def wobble(number: int) -> float:
    return (number * 7919 % 13) / 13


def test_a_planted_change_is_found_with_its_run_and_its_direction() -> None:
    before = [past(n, 20 + wobble(n), 0.5 + 0.02 * wobble(n + 3)) for n in range(10)]
    after = [past(n, 6 + wobble(n), 0.9 + 0.02 * wobble(n + 3)) for n in range(10, 20)]
    found = over(*before, *after)
    assert {(c.figure, c.run.run, c.better) for c in found.changes} == {
        (SCORE, "run-010", True),
        ("availability", "run-010", True),
        ("recovery", "run-010", True),
    }
    worse = over(*[(replace(a[0]), b[1], a[2]) for a, b in zip([*before, *after], [*after, *before], strict=True)])
    assert {(c.figure, c.better) for c in worse.changes} == {
        (SCORE, False),
        ("availability", False),
        ("recovery", False),
    }


def test_a_system_that_never_changed_shows_none() -> None:
    assert over(*[past(n, 6.0, 0.9) for n in range(20)]).changes == ()
    assert over(*[past(n, 6 + wobble(n), 0.9 + 0.02 * wobble(n + 3)) for n in range(20)]).changes == ()


def noisy(seed: int, runs: int) -> Trends:
    chance = np.random.default_rng(seed)
    told = []
    for number in range(runs):
        run, _, result = past(number, 1, 1)
        share = float(np.clip(chance.normal(0.8, 0.05), 0, 1))
        measures = (
            measure(A, share, 0.95, low=share - 0.02, high=share),
            measure(L, float(chance.normal(600, 50)), 500),
            measure(T, float(chance.exponential(3)), 2),
            measure(R, float(chance.exponential(5)), 3),
            measure(C, float(chance.choice([0.5, 0.75, 1])), 1),
        )
        told.append((run, measures, result))
    return over(*told)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_false_alarms_are_rare_among_all_figures_together() -> None:
    alarms = sum(bool(noisy(seed, 20).changes) for seed in range(100))
    assert alarms <= 100 * ALPHA + 2 * (100 * ALPHA * (1 - ALPHA)) ** 0.5


def test_only_like_is_compared_with_like() -> None:
    mixed = [past(n, 20, 0.5, fault="network.loss") if n < 10 else past(n, 6, 0.9) for n in range(20)]
    found = over(*mixed)
    assert found.changes == ()
    assert (len(found.points), found.comparable) == (20, 10)


def test_a_run_that_was_cut_short_is_not_what_others_are_held_against() -> None:
    told = [past(n, 20.0 if n < 9 else 6.0, 0.9) for n in range(18)]
    run, measures, _ = past(18, 1, 0.9)
    late = replace(run, outcome="aborted"), measures, row("e1", Verdict.ABORTED, run.run)
    found = over(*told, late)
    assert (found.comparable, found.points[-1].comparable) == (18, False)
    assert [change.figure for change in found.changes] == [SCORE, "recovery"]


def test_runs_without_a_number_leave_a_gap_and_no_zero() -> None:
    found = over(past(1, None, 0.9), past(2, 5, 0.9))
    assert "recovery" not in found.points[0].figures
    assert found.points[0].score is not None
    assert math.isclose(found.points[1].figures["recovery"], 5)
    empty = trends([past(1, 1, 1)[0]], {}, [], USUAL)
    assert (empty.points[0].score, empty.comparable) == (None, 0)
    assert trends([], {}, [], USUAL).points == ()
