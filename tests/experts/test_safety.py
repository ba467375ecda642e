"""The safety officer stops what must not be done, whoever proposes it, and can do nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from executor.model.faults.infrastructure import Credentials
from executor.model.faults.network import Latency
from executor.model.faults.service import Crash, DependencyFailure, Overload
from executor.model.plan import EdgeTarget, InstanceTarget
from executor.model.system import Service, System
from executor.model.vocabulary import Environment, Weakness
from executor.safety.limits import Limits
from experts.brief import Brief
from experts.expert import proposal_key
from experts.models.offline import OfflineExpert
from experts.proposal import Beside, Critique, Proposal
from planner.compile import compile_candidates
from tests.planner.systems import bazaar, proposal

OFFICER = OfflineExpert("safety-officer")
TIPS = EdgeTarget(caller="web", callee="tips")
SLOW = Beside(fault=Latency(delay_ms=500), target=TIPS)
DEAD_DB = Beside(fault=Crash(), target=InstanceTarget(service="db"))


def harmless(*beside: Beside, **fields: Any) -> Proposal:
    return proposal(Weakness.HARD_DEPENDENCY, "web->tips", DependencyFailure(mode="refuse"), beside=beside, **fields)


def brief(**changes: Any) -> Brief:
    return Brief(system=System(**{**dict(bazaar()), **changes}))


def veto(asked: Proposal, told: Brief | None = None) -> str:
    critiques = OFFICER.critique([asked], told or brief())
    assert all(critique.veto for critique in critiques), "it may stop, and has no other opinion"
    return " ".join(critique.concern for critique in critiques)


def test_what_is_harmless_is_passed_over_in_silence() -> None:
    assert veto(harmless()) == ""
    assert OFFICER.propose(brief()) == []


@pytest.mark.parametrize(
    ("beside", "changes", "said"),
    [
        (DEAD_DB, {}, "keeps state"),
        (Beside(fault=Credentials(), target=InstanceTarget(service="nobody")), {}, "no service nobody"),
        (SLOW, {"environment": Environment.PRODUCTION}, "Two failures at once in production"),
        (
            Beside(fault=Overload(rate_rps=5, method="POST", body="x"), target=InstanceTarget(service="web")),
            {},
            "only a person may choose",
        ),
    ],
)
def test_a_harmless_fault_does_not_carry_another_past_it(beside: Beside, changes: dict[str, Any], said: str) -> None:
    assert said.lower() in veto(harmless(beside), brief(**changes)).lower()


def test_a_protected_service_is_not_struck_by_the_second_fault_either() -> None:
    services = tuple(Service(**{**dict(s), "protected": s.name == "clock"}) for s in bazaar().services)
    second = Beside(fault=Crash(), target=InstanceTarget(service="clock"))
    assert "protected" in veto(harmless(second), brief(services=services))


def test_state_that_is_kept_is_not_killed_again_and_again() -> None:
    once = proposal(Weakness.SINGLE_POINT_OF_FAILURE, "db", Crash(), expert="reliability-engineer")
    thrice = Proposal(**{**dict(once), "trials": 3})
    assert "several times" not in veto(once)
    assert "several times" in veto(thrice)


def candidates(asked: Proposal, *critiques: Critique) -> tuple[int, str]:
    found = compile_candidates([asked], critiques, brief(), limits=Limits(), weights={})
    return len(found.experiments), " ".join(found.notes)


def test_its_veto_keeps_an_experiment_out_with_the_reason_and_nobody_elses_does() -> None:
    asked = harmless()
    key = proposal_key(asked)
    assert candidates(asked)[0] == 1
    others = Critique(expert="network-engineer", proposal=key, probability=0.5, concern="No.", veto=True)
    assert candidates(asked, others)[0] == 1
    left, why = candidates(
        asked, Critique(expert=OFFICER.name, proposal=key, probability=0.5, concern="Not so.", veto=True)
    )
    assert left == 0
    assert "vetoed by the safety officer: Not so." in why


def test_it_cannot_let_pass_what_the_rules_refuse() -> None:
    """Saying nothing, or that all is well, approves nothing."""
    lost = harmless(Beside(fault=Crash(), target=InstanceTarget(service="nobody")))
    praise = Critique(
        expert=OFFICER.name, proposal=proposal_key(lost), probability=1.0, concern="Approved.", veto=False
    )
    assert candidates(lost, praise)[0] == 0
