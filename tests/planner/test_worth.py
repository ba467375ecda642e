"""What an experiment is worth falls with what it cannot see."""

from __future__ import annotations

from typing import Any

import pytest

from executor.model.faults.network import Latency
from executor.model.faults.service import DependencyFailure
from executor.model.plan import Action, Experiment
from executor.model.probe import Check
from executor.model.vocabulary import Weakness
from planner.worth import worth
from tests.planner.systems import bazaar, brief_for, compiled, proposal

BRIEF = brief_for(bazaar())


def candidate(weakness: Weakness, place: str, fault: Any) -> Experiment:
    (found,) = compiled(proposal(weakness, place, fault)).experiments
    return found


def changed(experiment: Experiment, **fields: Any) -> Experiment:
    """The same with another fault or length, as a person may change it."""
    (action,) = experiment.actions
    return Experiment(**{**dict(experiment), "actions": (Action(**{**dict(action), **fields}),)})


def value(experiment: Experiment) -> float:
    return worth(experiment, BRIEF, {}).value


def test_a_delay_that_hardly_exceeds_the_limit_teaches_less() -> None:
    whole = candidate(Weakness.MISSING_TIMEOUT, "web->tips", Latency(delay_ms=3000))
    near = changed(whole, fault=Latency(delay_ms=2100))
    below = changed(whole, fault=Latency(delay_ms=1900))
    assert value(below) < value(near) < value(whole)


def test_what_is_over_before_anybody_has_waited_teaches_less() -> None:
    whole = candidate(Weakness.MISSING_TIMEOUT, "web->tips", Latency(delay_ms=3000))
    assert value(changed(whole, duration_s=1.5)) < value(whole)


def test_what_is_hardly_asked_teaches_less() -> None:
    whole = candidate(Weakness.HARD_DEPENDENCY, "web->tips", DependencyFailure())
    slow = tuple(Check(**{**dict(check), "rate_hz": 0.1}) for check in whole.checks)
    assert value(Experiment(**{**dict(whole), "checks": slow})) < value(whole)


def test_the_same_again_in_one_plan_teaches_nothing_more() -> None:
    whole = candidate(Weakness.HARD_DEPENDENCY, "web->tips", DependencyFailure())
    (hypothesis,) = whole.hypotheses
    again = worth(whole, BRIEF, {(hypothesis.weakness, hypothesis.place): frozenset({"refused"})}).value
    assert again == pytest.approx(0, abs=1e-12)
