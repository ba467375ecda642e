"""Proposals become experiments: merged, judged, watched, and always within the contract and the rules."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from executor.errors import InputError
from executor.model.data_check import DataCheck
from executor.model.digest import canonical
from executor.model.faults import SPECS
from executor.model.faults.network import Latency
from executor.model.faults.service import Crash, DependencyFailure, Error, Hang
from executor.model.plan import EdgeTarget, InstanceTarget, Plan
from executor.model.probe import HttpProbe
from executor.model.system import Service, System
from executor.model.vocabulary import Verdict, Weakness
from executor.safety.limits import BlastRadius, Limits
from executor.safety.rules import refusals
from experts.brief import PastResult
from experts.expert import proposal_key
from experts.proposal import Beside, Critique, Proposal
from planner.assemble import assemble
from planner.compile import Compiled, compile_candidates
from planner.optimise import select
from planner.rehearsal import rehearse
from planner.watch import RATE_MAX_HZ
from tests.planner.systems import bazaar, brief_for, compiled, proposal, systems

GOLDEN = Path(__file__).with_name("plan.golden.json")
WIDE = Limits(blast_radius=BlastRadius(instances_percent=100, services_percent=100, traffic_percent=100))
SLOW_TIPS = Latency(delay_ms=3000)


def planned(system: System, found: Compiled, limits: Limits | None = None) -> Plan:
    brief = brief_for(system)
    chosen = select(found.experiments, brief, limits)
    return assemble(chosen, brief, plan_id="plan-1", proposer="tester", candidates=len(found.experiments))


def several() -> tuple[Proposal, ...]:
    app = InstanceTarget(service="app")
    return (
        proposal(Weakness.MISSING_TIMEOUT, "web->tips", SLOW_TIPS),
        proposal(Weakness.MISSING_BULKHEAD, "web->tips", SLOW_TIPS, expert="performance-engineer", probability=0.3),
        proposal(Weakness.HARD_DEPENDENCY, "web->tips", DependencyFailure(mode="refuse"), probability=0.2),
        proposal(Weakness.LOAD_BALANCER_KEEPS_DEAD_MEMBER, "lb", Hang(), app, expert="platform-engineer"),
    )


def test_the_compiled_plan_is_the_golden_one() -> None:
    """After a wanted change: write the new text over the old file, and read the difference."""
    plan = planned(bazaar(), compiled(*several()))
    text = json.dumps(plan.model_dump(mode="json"), indent=1, sort_keys=True) + "\n"
    assert text == GOLDEN.read_text(encoding="utf-8")


def test_the_order_of_proposals_changes_nothing() -> None:
    one, other = several(), tuple(reversed(several()))
    assert canonical(planned(bazaar(), compiled(*one))) == canonical(planned(bazaar(), compiled(*other)))


def test_equal_faults_on_equal_targets_become_one_experiment() -> None:
    first, second, *_ = several()
    (experiment,) = compiled(first, second).experiments
    assert {h.weakness for h in experiment.hypotheses} == {Weakness.MISSING_TIMEOUT, Weakness.MISSING_BULKHEAD}
    assert experiment.proposed_by == ("network-engineer", "performance-engineer")
    assert {check.id for check in experiment.checks} >= {"home", "imprint"}


def test_equal_proposals_are_one_hypothesis_with_both_opinions() -> None:
    sure = proposal(Weakness.MISSING_TIMEOUT, "web->tips", SLOW_TIPS, probability=0.8)
    unsure = proposal(Weakness.MISSING_TIMEOUT, "web->tips", SLOW_TIPS, expert="historian", probability=0.2)
    critic = Critique(expert="data-engineer", proposal=proposal_key(sure), probability=0.5, concern="Who knows.")
    (experiment,) = compiled(sure, unsure, critiques=(critic,)).experiments
    (hypothesis,) = experiment.hypotheses
    assert dict(hypothesis.prediction.by) == {"data-engineer": 0.5, "historian": 0.2, "network-engineer": 0.8}
    assert 0.2 < hypothesis.prediction.probability_breaks < 0.8
    assert "data-engineer: Who knows." in experiment.rationale


def test_only_the_safety_officer_can_veto() -> None:
    one = proposal(Weakness.MISSING_TIMEOUT, "web->tips", SLOW_TIPS)
    no = Critique(expert="historian", proposal=proposal_key(one), probability=0.1, concern="No.", veto=True)
    assert compiled(one, critiques=(no,)).experiments
    stopped = compiled(one, critiques=(Critique(**{**no.model_dump(), "expert": "safety-officer"}),))
    assert not stopped.experiments
    assert "vetoed by the safety officer: No." in stopped.notes[0]


def test_expected_harm_aborts_nothing_and_collateral_does() -> None:
    (experiment,) = compiled(several()[0]).experiments
    assert experiment.abort_conditions != "none"
    guarded = {condition.check for condition in experiment.abort_conditions}
    assert "time" in guarded  # critical, and has nothing to do with it
    assert not guarded & {"home", "imprint"}  # both live in the caller that is made to wait


def test_what_needs_the_struck_service_ends_nothing_though_no_edge_shows_that_it_goes_through_it() -> None:
    crash = proposal(Weakness.SINGLE_POINT_OF_FAILURE, "lb", Crash())
    (experiment,) = compiled(crash).experiments
    guarded = () if experiment.abort_conditions == "none" else experiment.abort_conditions
    assert not {"order", "list"} & {condition.check for condition in guarded}  # both are asked through lb


def test_the_rationale_cites_what_earlier_runs_showed() -> None:
    past = PastResult(
        run="run-1234",
        system="bazaar",
        experiment="e1",
        weakness=Weakness.MISSING_TIMEOUT,
        place="web->tips",
        fault="network.latency delay_ms=1500",
        verdict=Verdict.HOLDS,
        reason="all well",
    )
    (experiment,) = compiled(several()[0], brief=brief_for(bazaar(), past)).experiments
    assert "holds in run-1234 under network.latency delay_ms=1500" in experiment.rationale


def test_constraints_and_limits_leave_out_with_a_reason() -> None:
    found = compiled(*several(), brief=brief_for(bazaar(), excluded_services=("tips",), allowed_faults=("network.*",)))
    assert not found.experiments
    assert any("tips is excluded" in note for note in found.notes)
    short = compile_candidates(several(), (), brief_for(bazaar()), limits=Limits(fault_s_max=1), weights={})
    assert not short.experiments
    assert any("the limit is 1 s" in note for note in short.notes)


def test_weights_move_the_pooled_prediction() -> None:
    sure = proposal(Weakness.MISSING_TIMEOUT, "web->tips", SLOW_TIPS, probability=0.9)
    unsure = proposal(Weakness.MISSING_TIMEOUT, "web->tips", SLOW_TIPS, expert="historian", probability=0.1)

    def pooled(**weights: float) -> float:
        named = {name.replace("_", "-"): weight for name, weight in weights.items()}
        found = compile_candidates((sure, unsure), (), brief_for(bazaar()), limits=Limits(), weights=named)
        return found.experiments[0].hypotheses[0].prediction.probability_breaks

    assert pooled(network_engineer=5, historian=1) > pooled(network_engineer=1, historian=5)


def test_what_would_stop_a_protected_service_is_refused() -> None:
    (experiment,) = compiled(proposal(Weakness.MISSING_TIMEOUT, "lb->app", SLOW_TIPS)).experiments
    assert not rehearse(experiment, bazaar(), Limits())
    assert any(
        "web, which is protected" in no for no in rehearse(experiment, bazaar(), Limits(protected_services=("web",)))
    )
    assert any("protected" in no for no in rehearse(experiment, bazaar(), Limits(protected_services=("lb",))))


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(systems(), st.data())
def test_whatever_is_proposed_compiles_to_plans_that_pass_the_rules(system: System, data: st.DataObject) -> None:
    limits = data.draw(st.sampled_from((Limits(), WIDE)))
    proposals = data.draw(st.lists(_proposals(system), max_size=8))
    found = compile_candidates(proposals, (), brief_for(system), limits=limits, weights={})
    kept = tuple(e for e in found.experiments if not rehearse(e, system, limits))
    for experiment in kept:
        assert len(experiment.checks) == 1 or sum(c.rate_hz for c in experiment.checks) <= RATE_MAX_HZ + 3 * len(
            experiment.checks
        )
    if select(kept, brief_for(system), limits).experiments:
        plan = planned(system, Compiled(kept, ()), limits)
        assert refusals(plan, system, limits) == []
        assert Plan.model_validate_json(plan.model_dump_json()) == plan


def test_an_unknown_place_is_left_out_and_never_crashes() -> None:
    lost = proposal(Weakness.MISSING_TIMEOUT, "web->nowhere", Error(), EdgeTarget(caller="web", callee="nowhere"))
    assert not compiled(lost).experiments
    with pytest.raises(InputError):
        refusals(
            planned(bazaar(), compiled(several()[0])), System(name="other", services=bazaar().services[:1]), Limits()
        )


def _proposals(system: System) -> st.SearchStrategy[Proposal]:
    names = [service.name for service in system.services]
    edges = [(edge.caller, edge.callee) for edge in system.dependencies]

    @st.composite
    def one(draw: st.DrawFn) -> Proposal:
        known = Service(name="db", tables=("a",), queues=("a",), directories=("/srv/a",))
        spec = draw(st.sampled_from([spec for spec in SPECS if spec.target_kind != "groups" and spec.typical(known)]))
        (caller, callee), service = draw(st.sampled_from(edges)), draw(st.sampled_from(names))
        fault = spec.typical(known)
        target = InstanceTarget(service=service) if spec.target_kind == "instances" else None
        place = draw(st.sampled_from((service, f"{caller}->{callee}"))) if target else f"{caller}->{callee}"
        weakness = draw(st.sampled_from(list(Weakness)))
        return proposal(
            weakness, place, fault, target,  # type: ignore[arg-type]
            probability=draw(st.floats(0, 1)),
            beside=draw(st.sampled_from(((), ((Beside(fault=Hang(), target=InstanceTarget(service=service))),)))),
            trials=draw(st.sampled_from((1, 3))),
            concurrency=draw(st.sampled_from((0, 8, 64))),
        )  # fmt: skip

    return one()


def test_what_writes_is_taken_along_where_its_service_or_what_that_needs_is_struck() -> None:
    """And nowhere else; to the letter as its owner declares it."""
    read = HttpProbe(url="http://127.0.0.1:1/orders")
    kept = DataCheck(id="kept", service="web", write=HttpProbe(url=f"{read.url}/{{id}}", method="PUT"), read=read)
    plain = bazaar()
    services = tuple(Service(**{**dict(s), "data_checks": (kept,) if s.name == "web" else ()}) for s in plain.services)
    where = System(**{**dict(plain), "services": services})
    found = compiled(*several(), brief=brief_for(where))
    taken = {experiment.id: experiment.data_checks for experiment in found.experiments}
    assert all(checks == (kept,) for checks in taken.values()), taken
    aside = Service(**{**dict(plain.service("tips")), "data_checks": (DataCheck(**{**dict(kept), "service": "tips"}),)})
    where = System(**{**dict(plain), "services": tuple(aside if s.name == "tips" else s for s in plain.services)})
    found = compiled(*several(), brief=brief_for(where))
    struck = {experiment.id: bool(experiment.data_checks) for experiment in found.experiments}
    assert set(struck.values()) == {True, False}
    assert all("tips" in name for name, has in struck.items() if has), struck
