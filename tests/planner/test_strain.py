"""More requests at once, and a second fault: what of that reaches the experiment, and what does not."""

from __future__ import annotations

import pytest

from executor.model.faults.network import Latency
from executor.model.faults.service import Crash, DependencyFailure, Error, Hang, Overload
from executor.model.plan import EdgeTarget, InstanceTarget
from executor.model.system import System
from executor.model.vocabulary import Verdict, Weakness
from experts.brief import PastResult
from experts.proposal import Beside
from planner.watch import RATE_MAX_HZ
from tests.planner.systems import bazaar, brief_for, compiled, proposal

TIPS = EdgeTarget(caller="web", callee="tips")
CACHE = EdgeTarget(caller="app", callee="cache")


def quiet() -> System:
    """The bazaar, asked twice a second only."""
    services = [
        {**s.model_dump(), "operations": [{**c.model_dump(), "rate_hz": 2.0} for c in s.operations]}
        for s in bazaar().services
    ]
    return System.model_validate({**bazaar().model_dump(), "services": services})


def rate_of(name: str, concurrency: int, delay_ms: float) -> float:
    asked = proposal(Weakness.MISSING_BULKHEAD, "web->tips", Latency(delay_ms=delay_ms), concurrency=concurrency)
    (experiment,) = compiled(asked, brief=brief_for(quiet())).experiments
    assert sum(check.rate_hz for check in experiment.checks) <= RATE_MAX_HZ + 1
    return next(check.rate_hz for check in experiment.checks if check.id == name)


@pytest.mark.parametrize(("concurrency", "delay_ms"), [(6, 500), (12, 3000), (16, 400)])
def test_so_many_requests_wait_at_once(concurrency: int, delay_ms: float) -> None:
    assert rate_of("home", concurrency, delay_ms) * delay_ms / 1000 == pytest.approx(concurrency, rel=0.05)


def test_load_is_never_more_than_is_bearable_and_leaves_alone_what_does_not_wait() -> None:
    assert rate_of("home", 64, 100) < RATE_MAX_HZ
    assert rate_of("imprint", 12, 500) == 2.0
    assert rate_of("home", 1, 3000) == 2.0, "it is enough as it is"


def test_two_faults_are_one_experiment_with_two_actions() -> None:
    asked = proposal(
        Weakness.HARD_DEPENDENCY,
        "web->tips",
        DependencyFailure(mode="refuse"),
        beside=(Beside(fault=Latency(delay_ms=500), target=CACHE),),
    )
    alone = proposal(Weakness.HARD_DEPENDENCY, "web->tips", DependencyFailure(mode="refuse"))
    both, one = sorted(compiled(asked, alone).experiments, key=lambda e: -len(e.actions))
    assert [action.fault.kind for action in both.actions] == ["service.dependency_failure", "network.latency"]
    assert both.actions[0].duration_s == both.actions[1].duration_s
    assert "meanwhile calls from app to cache" in both.title
    assert {h.id for h in both.hypotheses}.isdisjoint(h.id for h in one.hypotheses)
    assert len(both.hypotheses) == 1, "nothing is lent: what shows under two faults cannot be laid to one"


def test_the_same_two_faults_are_one_experiment_whichever_is_named_first() -> None:
    refused, late = DependencyFailure(mode="refuse"), Latency(delay_ms=500)
    first = proposal(Weakness.HARD_DEPENDENCY, "web->tips", refused, beside=(Beside(fault=late, target=CACHE),))
    second = proposal(
        Weakness.MISSING_BULKHEAD, "app->cache", late, beside=(Beside(fault=refused, target=TIPS),), expert="historian"
    )
    (experiment,) = compiled(first, second).experiments
    assert {h.place for h in experiment.hypotheses} == {"web->tips", "app->cache"}
    assert len(experiment.actions) == 2


def test_a_second_fault_that_alone_would_fail_what_is_judged_is_left_out() -> None:
    dead = Beside(fault=Hang(), target=InstanceTarget(service="db"))
    found = compiled(proposal(Weakness.HARD_DEPENDENCY, "web->tips", Error(status=500), beside=(dead,)))
    assert found.experiments == ()
    assert "struck at the same time" in found.notes[0]


def test_load_does_not_pass_for_retries() -> None:
    rush = Beside(fault=Overload(rate_rps=20), target=InstanceTarget(service="web"))
    found = compiled(proposal(Weakness.RETRY_STORM, "web->tips", Error(status=503), beside=(rush,)))
    assert found.experiments == ()
    assert "load would add to them" in found.notes[0]


def test_one_of_two_is_lost_under_load_and_load_asks_for_what_users_ask() -> None:
    rush = Beside(fault=Overload(rate_rps=20), target=InstanceTarget(service="web"))
    lost = proposal(
        Weakness.CAPACITY_CLIFF, "app", Crash(restart="murphy"), expert="performance-engineer", beside=(rush,)
    )
    (experiment,) = compiled(lost).experiments
    assert "what is left of app" in experiment.hypotheses[0].statement
    overload = experiment.actions[1].fault
    assert isinstance(overload, Overload)
    assert overload.path == "/home"


def test_repetition_is_trials() -> None:
    refused = DependencyFailure(mode="refuse")
    thrice = proposal(Weakness.DOES_NOT_RECONNECT, "app->cache", refused, trials=3)
    once = proposal(Weakness.DOES_NOT_RECONNECT, "app->cache", refused)
    assert sorted(e.trials for e in compiled(thrice, once).experiments) == [1, 3]


def cached() -> System:
    """The bazaar, whose home page uses the cache too, and can do without it."""
    home = {"exercises": ("web->lb", "lb->app", "app->db", "app->cache", "web->tips")}
    services = [
        {
            **s.model_dump(),
            "operations": [{**c.model_dump(), **(home if c.id == "home" else {})} for c in s.operations],
        }
        for s in bazaar().services
    ]
    return System.model_validate({**bazaar().model_dump(), "services": services})


def result(
    verdict: Verdict, weakness: Weakness = Weakness.HARD_DEPENDENCY, types: tuple[str, ...] = ("refused",)
) -> PastResult:
    told = {"run": "run-1", "system": "bazaar", "experiment": "e1", "reason": "so it was"}
    fault = "service.dependency_failure mode=refuse"
    return PastResult(weakness=weakness, place="app->cache", fault=fault, verdict=verdict, types=types, **told)


def test_what_can_be_done_without_is_taken_besides_only_once_it_was_seen_to_be_done_without() -> None:
    refused = DependencyFailure(mode="refuse")
    both = proposal(Weakness.HARD_DEPENDENCY, "web->tips", refused, beside=(Beside(fault=refused, target=CACHE),))
    assert "alone" in compiled(both, brief=brief_for(cached())).notes[0]
    assert len(compiled(both, brief=brief_for(cached(), result(Verdict.HOLDS))).experiments) == 1
    turned = brief_for(cached(), result(Verdict.HOLDS), result(Verdict.BREAKS))
    assert not compiled(both, brief=turned).experiments
    late = brief_for(cached(), result(Verdict.HOLDS, Weakness.MISSING_TIMEOUT, ("silent",)))
    assert not compiled(both, brief=late).experiments, "silence is another thing than refusal"
    other = brief_for(cached(), result(Verdict.HOLDS, Weakness.RETRY_STORM))
    assert not compiled(both, brief=other).experiments, "that no call is made again says nothing of users"


def test_what_is_needed_may_be_late_besides_only_as_long_as_its_caller_is_said_to_wait() -> None:
    late = Beside(fault=Latency(delay_ms=420), target=EdgeTarget(caller="app", callee="db"))
    both = proposal(Weakness.HARD_DEPENDENCY, "web->tips", DependencyFailure(mode="refuse"), beside=(late,))
    assert "may need" in compiled(both).notes[0]
    for timeout_ms, experiments in ((300, 0), (1000, 1)):
        edges = [
            {**d.model_dump(), "timeout_ms": timeout_ms if d.place == "app->db" else None}
            for d in bazaar().dependencies
        ]
        told = System.model_validate({**bazaar().model_dump(), "dependencies": edges})
        assert len(compiled(both, brief=brief_for(told)).experiments) == experiments
