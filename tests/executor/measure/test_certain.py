"""The fault may end early only where the verdict at its planned end would be the same, whatever comes."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executor.measure.certain import can_be, surely_breaks
from executor.measure.criteria.common import of_share
from executor.measure.intervals import Share
from executor.model.criteria import RecoversWithin, SteadyState
from executor.model.faults.service import Hang
from executor.model.plan import Action, Experiment, Hypothesis, InstanceTarget, Prediction
from executor.model.probe import Check, HttpProbe
from executor.model.vocabulary import Phase, Verdict, Weakness

WHOLE = 120
"""Answers by the planned end: 6 s at 20 a second."""


def stops_after(answers: list[bool], least: float) -> int | None:
    """After how many answers, looked at after each; ``None``: not before the end."""
    good = 0
    for n, ok in enumerate(answers, start=1):
        good += ok
        if surely_breaks(good, n, least, whole=len(answers)):
            return n
    return None


@given(st.lists(st.booleans(), min_size=8, max_size=200), st.sampled_from((0.5, 0.9, 0.95, 0.99)))
@settings(max_examples=300)
def test_stopping_never_changes_a_verdict(answers: list[bool], least: float) -> None:
    """Whatever the answers are, in whatever order: both the shorter and the whole record are judged to break."""
    after = stops_after(answers, least)
    if after is not None:
        assert of_share(Share(sum(answers[:after]), after), least) is Verdict.BREAKS
        assert of_share(Share(sum(answers), len(answers)), least) is Verdict.BREAKS


@pytest.mark.parametrize("share", [0.9, 0.93, 0.97, 1.0])
def test_by_simulation_it_adds_no_error_where_the_promise_is_kept(share: float) -> None:
    """Of systems that keep it, it stops none that the judge at the planned end would not have called broken."""
    chance = random.Random(1)
    early = late = 0
    for _ in range(2000):
        answers = [chance.random() < share for _ in range(WHOLE)]
        early += stops_after(answers, 0.9) is not None
        late += of_share(Share(sum(answers), WHOLE), 0.9) is Verdict.BREAKS
    assert early <= late
    assert early / 2000 <= 0.05  # the judge's own


def test_it_spares_users_most_of_a_fault_that_breaks_everything() -> None:
    after = stops_after([False] * WHOLE, 0.9)
    assert after is not None
    assert after <= WHOLE / 5


def sprt_stops(answers: list[bool], least: float, error: float) -> bool:
    """Wald's test of a share of ``least`` against half of it, for comparison."""
    told = 0.0
    for ok in answers:
        told += math.log(0.5 if ok else (1 - least / 2) / (1 - least))
        if told >= math.log((1 - error) / error):
            return True
    return False


def test_a_system_that_fails_over_in_time_is_not_called_broken_as_an_independent_test_would() -> None:
    """All fails for 0.5 s of 6, and then nothing does: 92 % of answers are good, and 90 % are wanted."""
    answers = [False] * 10 + [True] * (WHOLE - 10)
    assert of_share(Share(sum(answers), WHOLE), 0.9) is Verdict.HOLDS
    assert stops_after(answers, 0.9) is None
    assert sprt_stops(answers, 0.9, error=0.001)


def test_what_is_under_way_may_still_turn_it() -> None:
    assert surely_breaks(0, 30, 0.9, whole=WHOLE)
    assert not surely_breaks(0, 30, 0.9, whole=WHOLE, pending=1000)
    assert not surely_breaks(0, 7, 0.9, whole=8)


def experiment(*criteria: object, **fields: object) -> Experiment:
    check = Check(id="page", service="web", probe=HttpProbe(url="http://127.0.0.1:1/"))
    hypothesis = Hypothesis(
        id="h",
        weakness=Weakness.SINGLE_POINT_OF_FAILURE,
        place="web",
        statement="it keeps answering",
        criteria=criteria,
        prediction=Prediction(probability_breaks=0.5),
    )
    action = Action(id="a", fault=Hang(), target=InstanceTarget(service="web"), duration_s=6)
    given = {"hypotheses": (hypothesis,), "checks": (check,), "actions": (action,), "abort_conditions": "none"}
    return Experiment(id="e", title="e", **{**given, **fields})


def test_what_needs_the_whole_fault_gets_it() -> None:
    steady = SteadyState(checks=("page",))
    assert can_be(experiment(steady))
    assert not can_be(experiment(steady, trials=2))
    assert not can_be(experiment(steady, RecoversWithin(checks=("page",), within_s=5)))
    assert not can_be(experiment(SteadyState(checks=("page",), phase=Phase.RECOVERY)))
