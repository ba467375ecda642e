from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executor.model.plan import Action, EdgeTarget, GroupsTarget, InstanceTarget
from executor.model.system import Service, System
from executor.model.vocabulary import Verdict, Weakness
from experts.brief import Brief, Constraints, KnownHypothesis, PastResult
from experts.expert import proposal_key
from experts.proposal import Proposal
from experts.roster import council
from knowledge.fault_types import fault_text
from tests.experts.systems import library, systems


def proposals(brief: Brief) -> list[Proposal]:
    return [proposal for expert in council() for proposal in expert.propose(brief)]


def past(weakness: Weakness, place: str, fault: str, verdict: Verdict, system: str = "library") -> PastResult:
    return PastResult(
        run="run-1",
        system=system,
        experiment="e1",
        weakness=weakness,
        place=place,
        fault=fault,
        verdict=verdict,
        reason="seen",
    )


def on(found: list[Proposal], weakness: Weakness, place: str) -> list[str]:
    return [fault_text(each.fault) for each in found if each.weakness is weakness and each.place == place]


@settings(max_examples=60)
@given(systems(), st.booleans())
def test_every_proposal_is_valid_fits_its_target_and_names_what_is_there(system: System, narrow: bool) -> None:
    limits = Constraints(excluded_services=(system.services[0].name,), excluded_faults=("data.*",))
    brief = Brief(system=system, constraints=limits if narrow else Constraints())
    known = {service.name: service for service in system.services}
    edges = {edge.place: edge for edge in system.dependencies}
    found = proposals(brief)
    for each in found:
        assert Proposal.model_validate_json(each.model_dump_json()) == each
        Action(id="a", fault=each.fault, target=each.target, duration_s=1)
        assert each.place in known or each.place in edges
        assert 0 < each.probability < 1
        assert "{" not in each.rationale + each.remedy
        if isinstance(each.target, EdgeTarget):
            struck = edges[f"{each.target.caller}->{each.target.callee}"]
            assert struck.interception is not None
            assert not known[each.target.caller].protected
            touched = {each.target.caller, each.target.callee}
        elif isinstance(each.target, GroupsTarget):
            (caller,), (callee,) = each.target.a, each.target.b
            assert edges[f"{caller}->{callee}"].interception is not None
            touched = {caller, callee}
            assert not any(known[name].protected for name in touched)
        else:
            assert isinstance(each.target, InstanceTarget)
            assert known[each.target.service].instances
            assert not known[each.target.service].protected
            touched = {each.target.service}
        if narrow:
            assert system.services[0].name not in touched
            assert not each.fault.kind.startswith("data.")
    for expert in council():
        own = [proposal_key(each) for each in found if each.expert == expert.name]
        assert len(own) == len(set(own)), "one proposal for each weakness, place, fault and target"


@settings(max_examples=20)
@given(systems())
def test_equal_briefs_get_equal_answers(system: System) -> None:
    brief = Brief(system=system)
    assert proposals(brief) == proposals(Brief.model_validate_json(brief.model_dump_json()))


def test_what_a_small_library_should_worry_about() -> None:
    found = proposals(Brief(system=library()))
    soft = on(found, Weakness.HARD_DEPENDENCY, "desk->reviews")
    assert soft[0] == "service.dependency_failure"
    assert {"service.error", "service.error status=404", "service.corrupt_response"} <= set(soft)
    assert on(found, Weakness.HARD_DEPENDENCY, "desk->shelves") == [], "needed by design"
    assert "network.latency delay_ms=3000" in on(found, Weakness.MISSING_TIMEOUT, "desk->reviews")
    assert on(found, Weakness.MISSING_BULKHEAD, "desk->reviews"), "hours does not use it"
    assert on(found, Weakness.MISSING_BULKHEAD, "loans->shelves") == [], "everything uses it"
    assert on(found, Weakness.LOAD_BALANCER_KEEPS_DEAD_MEMBER, "door->desk") == [
        "network.loss percent=100",
        "service.hang",
    ]
    assert on(found, Weakness.POOL_EXHAUSTION, "loans->shelves") == ["data.lock table=lent", "data.lock table=people"]
    assert on(found, Weakness.POOL_EXHAUSTION, "desk->shelves") == [], "no lock would spare anything"
    assert set(on(found, Weakness.COLD_CACHE_OVERLOAD, "desk->covers")) == {
        "data.cache_flush",
        "data.cache_stampede keys=100",
    }
    assert on(found, Weakness.DETECTION_BLIND_SPOT, "loans")
    assert on(found, Weakness.SINGLE_POINT_OF_FAILURE, "desk") == [], "there are two"
    assert on(found, Weakness.SINGLE_POINT_OF_FAILURE, "loans")


def test_one_experiment_can_serve_several_hypotheses() -> None:
    """The planner merges proposals with equal fault and target, so experts must use the same parameters."""
    found = proposals(Brief(system=library()))
    bears: dict[tuple[str, str], set[Weakness]] = {}
    for each in found:
        bears.setdefault((fault_text(each.fault), each.target.model_dump_json()), set()).add(each.weakness)
    delay = ("network.latency delay_ms=3000", EdgeTarget(caller="desk", callee="reviews").model_dump_json())
    assert {Weakness.MISSING_TIMEOUT, Weakness.MISSING_BULKHEAD} <= bears[delay]
    silence = ("service.timeout", delay[1])
    assert {Weakness.MISSING_TIMEOUT, Weakness.MISSING_BULKHEAD, Weakness.MISSING_CIRCUIT_BREAKER} <= bears[silence]
    crash = ("service.crash", InstanceTarget(service="loans").model_dump_json())
    assert {Weakness.SINGLE_POINT_OF_FAILURE, Weakness.SLOW_OR_MISSING_RECOVERY} <= bears[crash]


@pytest.mark.parametrize("verdict", [Verdict.HOLDS, Verdict.BREAKS])
def test_what_was_answered_is_not_asked_again(verdict: Verdict) -> None:
    answered = past(Weakness.MISSING_TIMEOUT, "desk->reviews", "network.latency delay_ms=3000.0", verdict)
    found = proposals(Brief(system=library(), past=(answered,)))
    left = on(found, Weakness.MISSING_TIMEOUT, "desk->reviews")
    assert "network.latency delay_ms=3000" not in left
    assert "service.timeout" in left, "another kind of fault is another question"


@pytest.mark.parametrize("verdict", [Verdict.INCONCLUSIVE, Verdict.ABORTED])
def test_what_came_to_nothing_is_asked_again(verdict: Verdict) -> None:
    nothing = past(Weakness.MISSING_TIMEOUT, "desk->reviews", "network.latency delay_ms=3000", verdict)
    found = proposals(Brief(system=library(), past=(nothing,)))
    assert "network.latency delay_ms=3000" in on(found, Weakness.MISSING_TIMEOUT, "desk->reviews")


def test_another_system_of_the_same_place_answers_nothing() -> None:
    elsewhere = past(
        Weakness.MISSING_TIMEOUT, "desk->reviews", "network.latency delay_ms=3000", Verdict.HOLDS, system="archive"
    )
    found = proposals(Brief(system=library(), past=(elsewhere,)))
    assert "network.latency delay_ms=3000" in on(found, Weakness.MISSING_TIMEOUT, "desk->reviews")


def test_the_historian_tries_another_kind_where_one_held_and_cites_the_run() -> None:
    held = past(Weakness.HARD_DEPENDENCY, "desk->reviews", "service.dependency_failure", Verdict.HOLDS)
    found = [p for p in proposals(Brief(system=library(), past=(held,))) if p.expert == "historian"]
    kinds = on(found, Weakness.HARD_DEPENDENCY, "desk->reviews")
    assert kinds[0] == "service.corrupt_response"
    assert all("run-1" in each.rationale for each in found)


def test_the_historian_looks_next_to_what_broke() -> None:
    broke = past(Weakness.MISSING_TIMEOUT, "desk->covers", "network.latency delay_ms=3000", Verdict.BREAKS)
    found = [p for p in proposals(Brief(system=library(), past=(broke,))) if p.expert == "historian"]
    assert {each.place for each in found if each.weakness is Weakness.MISSING_TIMEOUT} == {
        "door->desk",
        "desk->shelves",
        "desk->reviews",
    }


def test_a_belief_that_experiments_made_counts_for_more_than_the_base_rate() -> None:
    def rate(runs: int, leaned: float = 0.0) -> float:
        known = KnownHypothesis(
            weakness=Weakness.MISSING_BULKHEAD, place="desk->reviews", probability=0.9, runs=runs, leaned=leaned
        )
        found = proposals(Brief(system=library(), beliefs=(known,)))
        return next(p.probability for p in found if p.weakness is known.weakness and p.place == known.place)

    assert rate(runs=2) == 0.9
    assert rate(runs=2, leaned=-1) == 0.9
    assert rate(runs=0) == 0.4, "the entry's own rate"
    assert rate(runs=0, leaned=-1) < 0.4 < rate(runs=0, leaned=1) < 0.9, "moved by what came out elsewhere"


def test_constraints_narrow_places_targets_faults_and_classes() -> None:
    limits = Constraints(
        services=("loans",),
        allowed_faults=("network.*", "service.*"),
        excluded_faults=("service.crash", "service.hang"),
        weaknesses=(Weakness.MISSING_TIMEOUT, Weakness.SINGLE_POINT_OF_FAILURE, Weakness.POOL_EXHAUSTION),
    )
    found = proposals(Brief(system=library(), constraints=limits))
    assert {(p.weakness, p.place) for p in found} == {(Weakness.MISSING_TIMEOUT, "loans->shelves")}


def test_what_cannot_be_done_here_is_not_proposed() -> None:
    brief = Brief(system=library(), unsupported=(("network.latency at *", "no proxy"),))
    assert not any(p.fault.kind == "network.latency" for p in proposals(brief))


def test_without_reach_to_the_traffic_the_dependency_itself_is_struck() -> None:
    blind = library().model_dump()
    for dependency in blind["dependencies"]:
        dependency["interception"] = None
    found = proposals(Brief(system=System.model_validate(blind)))
    assert all(isinstance(each.target, InstanceTarget) for each in found)
    assert on(found, Weakness.HARD_DEPENDENCY, "desk->reviews") == ["service.stop", "service.crash restart=murphy"]
    assert on(found, Weakness.MISSING_TIMEOUT, "desk->reviews") == ["service.hang"]


def test_nothing_is_known_of_a_system_that_says_nothing() -> None:
    assert proposals(Brief(system=System(name="empty", services=(Service(name="alone"),)))) == []
