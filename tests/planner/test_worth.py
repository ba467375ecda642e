"""What an experiment is worth falls with what it cannot see."""

from __future__ import annotations

from typing import Any

import pytest

from executor.model.faults.network import Latency
from executor.model.faults.service import DependencyFailure
from executor.model.plan import Action, Experiment
from executor.model.probe import Check
from executor.model.system import System
from executor.model.vocabulary import Verdict, Weakness
from executor.safety.limits import Limits
from experts.brief import Brief, Constraints, KnownHypothesis, PastResult
from experts.roster import council
from knowledge.beliefs.sight import sight
from knowledge.exposure import exposure
from knowledge.sensitivity import sensitivity
from planner.compile import compile_candidates
from planner.objectives import WORTH_MIN
from planner.worth import Told, worth
from tests.experts.systems import library
from tests.planner.systems import bazaar, brief_for, compiled, proposal

BRIEF = brief_for(bazaar())
SEES_MIN = 0.5
"""Of what its type of fault would show at best, an experiment that a recipe made shows so much at least."""


def candidate(weakness: Weakness, place: str, fault: Any) -> Experiment:
    (found,) = compiled(proposal(weakness, place, fault)).experiments
    return found


def changed(experiment: Experiment, **fields: Any) -> Experiment:
    """The same with another fault or length, as a person may change it."""
    (action,) = experiment.actions
    return Experiment(**{**dict(experiment), "actions": (Action(**{**dict(action), **fields}),)})


def value(experiment: Experiment) -> float:
    return worth(experiment, BRIEF, {}).value


@pytest.mark.parametrize("system", [bazaar(), library()], ids=lambda system: system.name)
def test_no_recipe_makes_an_experiment_that_is_blind_to_what_it_is_made_for(system: System) -> None:
    brief = Brief(system=system, constraints=Constraints(experiments_max=30, seconds_max=600))
    proposals = [p for expert in council() for p in expert.propose(brief)]
    found = compile_candidates(proposals, [], brief, limits=Limits(), weights={}).experiments
    assert len(found) > 30
    for experiment in found:
        for hypothesis in experiment.hypotheses:
            told = exposure(experiment, hypothesis, system)
            best = sensitivity(hypothesis.weakness, [strike.type for strike in told.strikes])
            seen = sight(hypothesis.weakness, hypothesis.place, told)
            assert seen.shows > SEES_MIN * best, (experiment.title, hypothesis.statement, seen)


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


def test_where_the_twin_has_played_it_through_both_are_heard() -> None:
    whole = candidate(Weakness.HARD_DEPENDENCY, "web->tips", DependencyFailure())
    (hypothesis,) = whole.hypotheses
    values = [worth(whole, BRIEF, {}, Told(rehearsed={hypothesis.id: bits})).value for bits in (0.0, 0.3, 0.9)]
    assert values == sorted(values)
    assert values[0] < value(whole) < values[2]
    assert worth(whole, BRIEF, {}, Told(rehearsed={"another": 0.9})).value == value(whole)
    tried = {(hypothesis.weakness, hypothesis.place): frozenset({"refused"})}
    again = worth(whole, BRIEF, tried, Told(rehearsed={hypothesis.id: 0.9})).value
    assert again == pytest.approx(0, abs=1e-12)


def test_what_an_earlier_run_asks_for_is_worth_it_though_the_weakness_is_known() -> None:
    whole = candidate(Weakness.HARD_DEPENDENCY, "web->tips", DependencyFailure())
    (hypothesis,) = whole.hypotheses
    place = (hypothesis.weakness, hypothesis.place)
    known = KnownHypothesis(weakness=place[0], place=place[1], probability=0.99, runs=2)
    past = PastResult(
        run="run-1", system="bazaar", experiment="e", weakness=place[0], place=place[1],
        fault="service.dependency_failure", verdict=Verdict.BREAKS, reason="",
    )  # fmt: skip
    told = Brief(system=bazaar(), beliefs=(known,), past=(past,))
    asked = {whole.id: {place: 0.25}}
    assert worth(whole, told, {}).value < WORTH_MIN < worth(whole, told, {}, Told(asked=asked)).value
