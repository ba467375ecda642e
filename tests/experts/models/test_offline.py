from __future__ import annotations

import pytest

from executor.model.faults import Fault
from executor.model.plan import InstanceTarget
from executor.model.system import System
from executor.model.vocabulary import Verdict, Weakness
from experts.brief import Brief, Constraints, PastResult
from experts.expert import proposal_key
from experts.models.offline import OfflineExpert
from experts.playbook import COUNCIL
from experts.proposal import Critique, Proposal
from tests.experts.systems import an_experiment, library


def changed(service: str, **facts: object) -> System:
    data = library().model_dump()
    for each in data["services"]:
        if each["name"] == service:
            each.update(facts)
    return System.model_validate(data)


def a_proposal(fault: dict[str, object], service: str, *, count: int = 1) -> Proposal:
    return Proposal.model_validate(
        {
            "expert": "somebody",
            "weakness": Weakness.SINGLE_POINT_OF_FAILURE,
            "place": service,
            "fault": fault,
            "target": InstanceTarget(service=service, count=count),
            "probability": 0.4,
            "rationale": "why not",
        }
    )


def veto(proposal: Proposal, brief: Brief) -> str:
    found = OfflineExpert("safety-officer").critique([proposal], brief)
    assert all(each.veto and each.proposal == proposal_key(proposal) for each in found)
    return found[0].concern if found else ""


CRASH = {"kind": "service.crash"}
FLUSH = {"kind": "data.cache_flush"}


def test_the_safety_officer_has_nothing_against_what_the_council_proposes_for_a_well_described_system() -> None:
    brief = Brief(system=library())
    for name in COUNCIL:
        assert OfflineExpert("safety-officer").critique(OfflineExpert(name).propose(brief), brief) == []
    assert OfflineExpert("safety-officer").propose(brief) == []


@pytest.mark.parametrize(
    ("proposal", "brief", "said"),
    [
        (a_proposal(CRASH, "loans"), Brief(system=changed("loans", protected=True)), "protected"),
        (a_proposal(FLUSH, "covers"), Brief(system=changed("covers", disposable=False)), "not marked disposable"),
        (a_proposal(CRASH, "shelves"), Brief(system=changed("shelves", disposable=False)), "not disposable"),
        (a_proposal(CRASH, "shelves"), Brief(system=changed("shelves", restarts="by_hand")), "started by hand"),
        (a_proposal(CRASH, "desk", count=2), Brief(system=library()), "more than half"),
        (a_proposal(CRASH, "desk", count=9), Brief(system=library()), "has 2 instances"),
        (a_proposal(CRASH, "moon"), Brief(system=library()), "no service moon"),
        (
            a_proposal(CRASH, "loans"),
            Brief(system=library(), constraints=Constraints(services=("desk",))),
            "outside desk",
        ),
        (
            a_proposal(CRASH, "loans"),
            Brief(system=library(), constraints=Constraints(excluded_faults=("service.*",))),
            "is excluded",
        ),
        (
            a_proposal(FLUSH, "covers"),
            Brief(system=System.model_validate({**library().model_dump(), "environment": "production"})),
            "production",
        ),
        (
            a_proposal(CRASH, "loans"),
            Brief(system=System.model_validate({**library().model_dump(), "environment": "production"})),
            "single instance in production",
        ),
    ],
)
def test_the_safety_officer_vetoes_with_the_reason(proposal: Proposal, brief: Brief, said: str) -> None:
    assert said in veto(proposal, brief)


def test_nobody_but_the_safety_officer_vetoes() -> None:
    brief = Brief(system=changed("covers", disposable=False))
    everything = [proposal for name in COUNCIL for proposal in OfflineExpert(name).propose(Brief(system=library()))]
    for name in COUNCIL:
        if name != "safety-officer":
            assert not any(each.veto for each in OfflineExpert(name).critique(everything, brief))


def test_an_expert_speaks_of_others_proposals_in_its_field_with_its_own_number() -> None:
    brief = Brief(system=library())
    colleagues = OfflineExpert("data-engineer").propose(brief)
    said = {each.proposal: each for each in OfflineExpert("network-engineer").critique(colleagues, brief)}
    cut = next(each for each in colleagues if each.weakness is Weakness.DOES_NOT_RECONNECT)
    cache = next(each for each in colleagues if each.weakness is Weakness.COLD_CACHE_OVERLOAD)
    assert said[proposal_key(cut)].probability == 0.25
    assert proposal_key(cache) not in said
    own = OfflineExpert("network-engineer").propose(brief)
    assert OfflineExpert("network-engineer").critique(own, brief) == []


def past(place: str, fault: str, verdict: Verdict) -> PastResult:
    return PastResult(
        run="run-7",
        system="library",
        experiment="e",
        weakness=Weakness.MISSING_TIMEOUT,
        place=place,
        fault=fault,
        verdict=verdict,
        reason="",
    )


def remembered(*results: PastResult) -> Critique | None:
    proposals = OfflineExpert("network-engineer").propose(Brief(system=library()))
    asked: Fault = next(each for each in proposals if each.place == "desk->reviews").fault
    assert asked.kind == "network.latency"
    brief = Brief(system=library(), past=results)
    said = OfflineExpert("historian").critique(
        [each for each in proposals if each.place == "desk->reviews" and each.fault == asked][:1], brief
    )
    return said[0] if said else None


def test_the_historian_says_nothing_without_a_past() -> None:
    assert remembered() is None


@pytest.mark.parametrize(
    ("result", "low", "high"),
    [
        (past("desk->reviews", "network.latency delay_ms=3000", Verdict.HOLDS), 0.01, 0.1),
        (past("desk->reviews", "network.latency delay_ms=3000", Verdict.BREAKS), 0.9, 0.99),
        (past("desk->reviews", "service.timeout", Verdict.HOLDS), 0.2, 0.44),
        (past("desk->covers", "network.latency delay_ms=3000", Verdict.BREAKS), 0.46, 0.8),
    ],
)
def test_the_historian_moves_the_number_and_cites_the_run(result: PastResult, low: float, high: float) -> None:
    said = remembered(result)
    assert said is not None
    assert low <= said.probability <= high
    assert "run-7" in said.concern


def test_predictions_are_given_in_the_field_only() -> None:
    brief = Brief(system=library())
    assert OfflineExpert("network-engineer").predict(an_experiment(), brief) == [("h1", 0.45)]
    assert OfflineExpert("data-engineer").predict(an_experiment(), brief) == []
    assert OfflineExpert("safety-officer").predict(an_experiment(), brief) == []
