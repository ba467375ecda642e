"""Beliefs: what moves them, which way, and how it is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.model.vocabulary import FaultType, Verdict, Weakness
from executor.state.home import Home
from knowledge.beliefs import SHOWN_MIN, Belief, beliefs_for, believe
from knowledge.beliefs import tested_types as types_of
from knowledge.features import describe
from knowledge.ledger import Ledger
from knowledge.neighbours import Neighbour
from knowledge.rows import PastRow
from knowledge.sensitivity import SENSITIVITY, chance_of_break, information_gain, sensitivity
from tests.knowledge.runs import MORNING, Case, evidence_of, plan_of, small_system

KEY = (Weakness.HARD_DEPENDENCY, "front->back")
NOW = MORNING + timedelta(days=1)


def row(
    verdict: Verdict, types: str = "refused", *, number: int = 1, system: str = "store", place: str = KEY[1]
) -> PastRow:
    features = describe(small_system(system), KEY[0], place, fault_types=(types,))
    return PastRow(
        run=f"run-{number}",
        system=system,
        experiment="e0",
        hypothesis=f"h-{types}",
        weakness=KEY[0],
        place=place,
        statement="home keeps working",
        fault=f"fault of type {types}",
        verdict=verdict,
        reason="as measured",
        predicted=0.5,
        at=MORNING + timedelta(minutes=number),
        features=features,
    )


def belief(*own: PastRow, rate: float = 0.35, neighbours: tuple[Neighbour, ...] = ()) -> Belief:
    return believe(KEY, (rate, "network-engineer/soft"), own, neighbours, now=NOW)


rates = st.floats(0, 1)
rows = st.builds(
    row,
    st.sampled_from(Verdict),
    st.sampled_from([kind.value for kind in FaultType]),
    number=st.integers(1, 500),
)
neighbours = st.builds(
    Neighbour,
    row=st.builds(
        row,
        st.sampled_from(Verdict),
        st.sampled_from([kind.value for kind in FaultType]),
        system=st.sampled_from(["a", "b", "c"]),
    ),
    similarity=st.floats(0, 1),
    recency=st.floats(0, 1),
)


@given(rates, st.lists(rows, max_size=8), st.lists(neighbours, max_size=6))
def test_a_probability_is_never_certain(rate, own, near):
    held = belief(*own, rate=rate, neighbours=tuple(near))
    assert 0 < held.probability < 1
    assert held.alpha > 0
    assert held.beta > 0
    assert len(held.grounds) >= 1


@given(rates, st.lists(rows, max_size=6), st.sampled_from([kind.value for kind in FaultType]))
def test_a_break_raises_and_a_hold_lowers(rate, own, types):
    before = belief(*own, rate=rate).probability
    assert belief(*own, row(Verdict.BREAKS, types, number=501), rate=rate).probability >= max(before, SHOWN_MIN) - 1e-9
    assert belief(*own, row(Verdict.HOLDS, types, number=501), rate=rate).probability <= before + 1e-9


@given(rates, st.lists(rows, max_size=6), st.sampled_from([Verdict.INCONCLUSIVE, Verdict.ABORTED]))
def test_what_decided_nothing_moves_nothing(rate, own, verdict):
    before = belief(*own, rate=rate)
    after = belief(*own, row(verdict, number=501), rate=rate)
    assert (after.alpha, after.beta, after.runs, after.tested) == (
        before.alpha,
        before.beta,
        before.runs,
        before.tested,
    )
    assert "moves nothing" in after.grounds[-1]


@given(st.permutations([row(Verdict.HOLDS, kind.value, number=n) for n, kind in enumerate(list(FaultType)[:6], 1)]))
def test_the_order_of_independent_evidence_does_not_matter(own):
    assert belief(*own).probability == pytest.approx(belief(*sorted(own, key=lambda r: r.run)).probability, abs=1e-12)


def test_a_hold_under_one_type_leaves_room_for_the_others():
    refused = belief(row(Verdict.HOLDS, "refused"))
    assert 0.08 < refused.probability < 0.2
    assert belief(row(Verdict.HOLDS, "sluggish")).probability > 0.3
    swept = belief(*(row(Verdict.HOLDS, t, number=n) for n, t in enumerate(["refused", "silent", "client_error"])))
    assert swept.probability < 0.05


def test_the_same_again_adds_next_to_nothing():
    once = belief(row(Verdict.HOLDS, "refused"))
    often = belief(*(row(Verdict.HOLDS, "refused", number=n) for n in range(5)))
    assert often.probability == pytest.approx(once.probability, abs=0.005)
    assert often.runs == 5


def test_a_weakness_that_no_longer_shows_is_believed_less_but_not_gone():
    repaired = belief(row(Verdict.BREAKS, number=1), row(Verdict.HOLDS, number=2))
    assert belief(row(Verdict.HOLDS, number=2)).probability < repaired.probability < 0.35


def test_similar_places_lean_it_and_never_decide_it():
    near = tuple(Neighbour(row(Verdict.BREAKS, system=f"other-{n}"), similarity=0.9, recency=1.0) for n in range(40))
    assert 0.35 < belief(neighbours=near).probability < 0.75
    assert belief(neighbours=near[:1]).probability < belief(neighbours=near[:2]).probability
    held = tuple(replace(n, row=replace(n.row, verdict=Verdict.HOLDS)) for n in near)
    assert belief(neighbours=held).probability < 0.35
    assert belief(row(Verdict.HOLDS), neighbours=near).probability < belief(neighbours=near).probability


def test_one_place_counts_once_and_a_dissimilar_one_not_at_all():
    near = Neighbour(row(Verdict.BREAKS, system="other"), similarity=0.9, recency=1.0)
    again = Neighbour(row(Verdict.BREAKS, "silent", number=2, system="other"), similarity=0.8, recency=1.0)
    assert belief(neighbours=(near, again)).probability == belief(neighbours=(near,)).probability
    far = replace(near, similarity=0.3)
    assert belief(neighbours=(far,)).probability == belief().probability


def test_grounds_name_base_rate_neighbours_and_runs():
    near = Neighbour(row(Verdict.BREAKS, "slow", system="other"), similarity=0.82, recency=1.0)
    told = belief(row(Verdict.HOLDS, number=7), neighbours=(near,)).grounds
    assert told == (
        "base rate 0.35 (network-engineer/soft)",
        "neighbour: other front->back broke under fault of type slow (similarity 0.82, run-1)",
        "run-7: held under fault of type refused: as measured",
    )


def test_types_already_tried_are_told_with_their_latest_verdict():
    past = [row(Verdict.BREAKS, number=1), row(Verdict.HOLDS, number=2), row(Verdict.INCONCLUSIVE, "slow", number=3)]
    assert types_of(past, *KEY) == {"refused": Verdict.HOLDS}
    assert types_of(past, KEY[0], "elsewhere") == {}


class Memory:
    """Answers every query with one result of the place's own system, and one of another's."""

    def similar_each(self, queries, k, **_when):
        own = Neighbour(row(Verdict.BREAKS), similarity=1.0, recency=1.0)
        other = Neighbour(row(Verdict.BREAKS, system="other"), similarity=0.9, recency=1.0)
        return [(own, other)[:k]] * len(queries)


def test_own_runs_come_from_the_ledger_and_are_not_counted_again_as_neighbours(tmp_path: Path):
    system = small_system()
    cases = (Case(Verdict.HOLDS), Case(Verdict.BREAKS, place="front->side"))
    plan = plan_of(cases, system)
    with Ledger.open(Home.open(tmp_path)) as ledger:
        ledger.record(plan, evidence_of(cases, plan), (), system)
        wanted = {KEY: (0.35, "x"), (KEY[0], "front->side"): (0.35, "x"), (KEY[0], "back->db"): (0.35, "x")}
        first, second, third = beliefs_for(system, wanted, ledger, Memory(), now=NOW)
    assert [b.place for b in (first, second, third)] == ["back->db", "front->back", "front->side"]
    assert (first.runs, second.runs, third.runs) == (0, 1, 1)
    assert third.probability >= SHOWN_MIN
    assert sum("neighbour: store front->back" in line for line in second.grounds) == 0
    assert sum("neighbour: store front->back" in line for line in first.grounds) == 1


def test_every_weakness_has_its_sensitivities_and_they_are_probabilities():
    assert set(SENSITIVITY) == set(Weakness)
    for weakness in Weakness:
        for kind in FaultType:
            assert 0 < sensitivity(weakness, (kind.value,)) < 1


@given(st.floats(0, 1), st.sampled_from(Weakness), st.lists(st.sampled_from(FaultType), max_size=3))
def test_gain_and_chance_stay_in_bounds(probability, weakness, types):
    assert 0 <= information_gain(probability, weakness, types) <= 1
    assert 0 <= chance_of_break(probability, weakness, types) <= 1


def test_an_experiment_that_would_show_it_tells_more_than_a_blind_one():
    weakness = Weakness.MISSING_TIMEOUT
    assert information_gain(0.5, weakness, ("silent",)) > 10 * information_gain(0.5, weakness, ("refused",))
    assert information_gain(0.5, weakness, ("silent",)) > information_gain(0.02, weakness, ("silent",))
