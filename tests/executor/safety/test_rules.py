"""Each static rule: what passes, what is refused, and in which words."""

from __future__ import annotations

from typing import Any

import pytest

from executor.errors import InputError, SafetyRefusalError
from executor.model.data_check import DataCheck, SqlQuery
from executor.model.faults.data import CacheFlush
from executor.model.plan import AbortCondition, Experiment, InstanceTarget, Plan
from executor.model.probe import Check, DetectionSignal, HttpProbe, TcpProbe
from executor.model.system import Service, System
from executor.safety.limits import BlastRadius, Limits
from executor.safety.rules import allows, refusals
from tests.executor.safety.examples import (
    CHECK,
    PRODUCTION,
    act,
    chain,
    cut,
    edge,
    experiment,
    hang,
    plan,
    service,
    slow,
    system,
)

TEN = chain()
WIDE = Limits(blast_radius=BlastRadius(instances_percent=100, services_percent=100, traffic_percent=100))
FOUR = system(service("front", 3), service("back", protected=True), edges=[edge("front", "back")])
STORE = system(service("store", disposable=True), service("ledger"))


def said(of: Plan, where: System, limits: Limits = Limits()) -> list[str]:  # noqa: B008 - frozen
    return [str(refusal) for refusal in refusals(of, where, limits)]


def flush(name: str) -> Experiment:
    return experiment(act(CacheFlush(), InstanceTarget(service=name), f"flush-{name}"))


@pytest.mark.parametrize(
    "good",
    [
        plan(TEN, hang("s3")),
        plan(TEN, slow("s0", "s1"), hang("s5"), slow("s8", "s9")),
        plan(TEN, cut(["s0"], ["s1"])),
        plan(TEN, experiment(hang("s1"), hang("s2", start_s=6))),
    ],
)
def test_one_thing_at_a_time_passes_under_the_defaults(good: Plan) -> None:
    assert refusals(good, TEN, Limits()) == []


def test_one_edge_is_allowed_however_many_instances_its_caller_has() -> None:
    assert said(plan(FOUR, slow("front", "back")), FOUR) == []
    assert said(plan(FOUR, hang("front")), FOUR) == []


@pytest.mark.parametrize(
    ("of", "where", "limits", "message"),
    [
        (
            plan(FOUR, hang("front", count=2)),
            FOUR,
            Limits(blast_radius=BlastRadius(traffic_percent=100)),
            "refused by blast radius: stage 1 touches 2 instances at once, and the limit is 1 of 4 instances (10 %, at "
            "least one). Strike fewer, one after another, in stages of their own, or by what reaches less far.",
        ),
        (
            plan(TEN, hang("s0"), [experiment(hang("s1")), experiment(slow("s2", "s3"))]),
            TEN,
            Limits(blast_radius=BlastRadius(instances_percent=20, traffic_percent=100)),
            "refused by blast radius: stage 2 touches 2 services at once, and the limit is 1 of 10 services (10 %, at "
            "least one). Strike fewer, one after another, in stages of their own, or by what reaches less far.",
        ),
        (
            plan(TEN, [experiment(hang(f"s{number}")) for number in range(4)]),
            TEN,
            WIDE,
            "refused by concurrent faults: stage 1 has 4 faults at once, and the limit is 3 faults at once. "
            "Put experiments in stages of their own, or actions one after another.",
        ),
        (
            plan(FOUR, hang("back")),
            FOUR,
            Limits(),
            "refused by protected services: action hang-back strikes back, and the limit is never back. "
            "Choose another target.",
        ),
        (
            plan(TEN, slow("s1", "s2")),
            TEN,
            Limits(protected_services=("s1", "s9")),
            "refused by protected services: action slow-s1-s2 strikes s1, and the limit is never s1, s9. "
            "Choose another target.",
        ),
        (
            plan(TEN, cut(["s0"], ["s1"])),
            TEN,
            Limits(protected_services=("s1",)),
            "refused by protected services: action cut strikes s1, and the limit is never s1. Choose another target.",
        ),
        (
            plan(TEN, hang("s1")),
            TEN,
            Limits(allowed_faults=("network.*", "service.crash")),
            "refused by allowed faults: action hang-s1 is service.hang, and the limit is network.* or service.crash. "
            "Only the operator can add it to allowed_faults in limits.toml.",
        ),
        (
            plan(TEN, hang("s1", duration_s=61)),
            TEN,
            Limits(),
            "refused by fault duration: action hang-s1 lasts 61 s, and the limit is 60 s. Make it shorter.",
        ),
        (
            plan(TEN, hang("s1"), hang("s2")),
            TEN,
            Limits(run_s_max=20),
            "refused by run length: the run may take 24 s, and the limit is 20 s. "
            "Take fewer experiments or trials, or shorter phases.",
        ),
        (
            plan(TEN, hang("s1"), system_name="another"),
            TEN,
            Limits(),
            "refused by system: the plan is for another, and the limit is small. Plan anew for this system.",
        ),
        (
            plan(TEN, hang("s1"), environment="staging"),
            TEN,
            Limits(),
            "refused by environment: the plan is for staging, and the limit is the system's own, development. "
            "Plan anew for this system.",
        ),
        (
            plan(
                chain(environment=PRODUCTION),
                experiment(hang("s1"), abort_conditions=(AbortCondition(check=CHECK.id, availability_below=0.5),)),
            ),
            chain(environment=PRODUCTION),
            Limits(),
            "refused by environment: the plan is for production, and the limit is development or staging. "
            "Only the operator can add it to environments in limits.toml.",
        ),
        (
            plan(chain(environment=PRODUCTION), hang("s1")),
            chain(environment=PRODUCTION),
            Limits(environments=(PRODUCTION,)),
            "refused by abort conditions: e-hang-s1 has none, and the limit is at least one in production. "
            "Name a check and the availability below which all is undone.",
        ),
        (
            plan(STORE, flush("ledger")),
            STORE,
            Limits(),
            "refused by disposable data: action flush-ledger is a data fault on ledger, and the limit is disposable "
            "services, or such with a backup. Only the operator can call ledger disposable or name its backup, in "
            "system.yaml.",
        ),
        (
            plan(TEN, experiment(hang("s1"), hang("s1", id="again"))),
            TEN,
            WIDE,
            "refused by overlapping targets: actions hang-s1 and again strike s1-1 at once, and the limit is one fault "
            "on a target. Let one end well before the other begins.",
        ),
        (
            plan(TEN, [experiment(hang("s1")), experiment(slow("s1", "s2"))]),
            TEN,
            WIDE,
            "refused by overlapping targets: e-hang-s1 and e-slow-s1-s2 work on s1-1 side by side, and the limit is "
            "one experiment on a target. Put them in stages of their own.",
        ),
    ],
)
def test_each_refusal_says_rule_measure_limit_and_way_out(
    of: Plan, where: System, limits: Limits, message: str
) -> None:
    assert said(of, where, limits) == [message]


def test_no_refusal_can_be_made_that_does_not_say_what_would_pass() -> None:
    with pytest.raises(TypeError, match="hint"):
        SafetyRefusalError("rule", measured="one", limit="none")  # type: ignore[call-arg]


def test_an_edge_that_cannot_be_reached_is_refused() -> None:
    bare = system(service("a"), service("b"), edges=[edge("a", "b", interception=None)])
    for action in (slow("a", "b"), cut(["a"], ["b"])):
        (refusal,) = refusals(plan(bare, action), bare, Limits())
        assert refusal.rule == "interception"
        assert "a->b, whose traffic cannot be reached" in refusal.measured


def test_data_faults_pass_on_disposable_services() -> None:
    assert said(plan(STORE, flush("store")), STORE) == []


@pytest.mark.parametrize(
    ("rate_hz", "of", "below", "can_fire"),
    [
        (10, 10, 0.5, True),
        (10, 100, 0.51, True),  # 50 bad answers of 100 leave 0.5
        (10, 100, 0.5, False),
        (0.1, 1, 1, False),  # no answer is due within 5 s
        (1, 1, 1, True),
    ],
)
def test_an_abort_condition_must_be_able_to_fire_during_the_fault(
    rate_hz: float, of: int, below: float, can_fire: bool
) -> None:
    check = Check(id=CHECK.id, service="s0", probe=CHECK.probe, rate_hz=rate_hz)
    condition = AbortCondition(check=check.id, availability_below=below, of=of)
    asked = plan(TEN, experiment(hang("s1"), checks=(check,), abort_conditions=(condition,)))
    assert [refusal.rule for refusal in refusals(asked, TEN, Limits())] == ([] if can_fire else ["abort conditions"])


@pytest.mark.parametrize(
    "more",
    [
        {"checks": (Check(id=CHECK.id, service="s0", probe=HttpProbe(url="http://169.254.169.254/latest")),)},
        {"checks": (Check(id=CHECK.id, service="s0", probe=TcpProbe(host="db.elsewhere.example", port=5432)),)},
        {"signals": (DetectionSignal(id="x", service="s0", probe=HttpProbe(url="http://elsewhere.example/")),)},
    ],
)
def test_no_probe_leaves_the_system(more: dict[str, Any]) -> None:
    (refusal,) = refusals(plan(TEN, experiment(hang("s1"), **more)), TEN, Limits())
    assert refusal.rule == "probe hosts"


def test_every_broken_rule_is_named_at_once() -> None:
    bad = plan(TEN, [experiment(hang("s1", duration_s=99)), experiment(hang("s2"))])
    limits = Limits(allowed_faults=("network.*",), protected_services=("s2",))
    assert {refusal.rule for refusal in refusals(bad, TEN, limits)} == {
        "protected services",
        "allowed faults",
        "fault duration",
        "blast radius",
    }


def test_limits_that_allow_nothing_allow_nothing() -> None:
    rules = {
        refusal.rule for refusal in refusals(plan(TEN, hang("s1")), TEN, Limits(allowed_faults=(), environments=()))
    }
    assert rules == {"allowed faults", "environment"}


def test_an_exercised_edge_that_is_not_there_is_the_authors_mistake() -> None:
    usual = experiment(hang("s1"))
    hypothesis = type(usual.hypotheses[0])(**{**dict(usual.hypotheses[0]), "exercised_by": (("s0", "s7"),)})
    with pytest.raises(InputError, match="the system has no edge s0->s7"):
        refusals(plan(TEN, experiment(hang("s1"), hypotheses=(hypothesis,))), TEN, Limits())


@pytest.mark.parametrize(
    ("globs", "kind", "allowed"),
    [
        (("*",), "service.hang", True),
        (("service.*",), "service.hang", True),
        (("Service.*",), "service.hang", False),
        (("service",), "service.hang", False),
        ((), "service.hang", False),
    ],
)
def test_globs_over_kinds(globs: tuple[str, ...], kind: str, allowed: bool) -> None:
    assert allows(globs, kind) is allowed


WRITES = DataCheck(
    id="kept",
    service="s1",
    write=HttpProbe(url="http://127.0.0.1:1/orders/{id}", method="PUT"),
    read=HttpProbe(url="http://127.0.0.1:1/orders"),
)


def having(*checks: DataCheck) -> System:
    kept = [Service(**{**dict(s), "data_checks": checks}) if s.name == "s1" else s for s in TEN.services]
    return system(*kept, edges=TEN.dependencies)


def test_a_data_check_is_the_one_that_system_yaml_has() -> None:
    where = having(WRITES)
    assert said(plan(where, experiment(hang("s1"), data_checks=(WRITES,))), where) == []


@pytest.mark.parametrize(
    "other",
    [
        {"id": "more"},
        {"service": "s2"},
        {"rate_hz": 50.0},
        {"write": HttpProbe(url="http://127.0.0.1:1/orders/{id}/paid", method="PUT")},
        {"write": SqlQuery(dsn="env:SHOP", query="DELETE FROM orders WHERE id <> '{id}'")},
        {"invariants": (SqlQuery(dsn="env:SHOP", query="SELECT true"),)},
    ],
)
def test_no_plan_writes_otherwise_than_the_systems_owner_says(other: dict[str, Any]) -> None:
    where = having(WRITES)
    changed = DataCheck(**{**dict(WRITES), **other})
    (refusal,) = refusals(plan(where, experiment(hang("s1"), data_checks=(changed,))), where, Limits())
    assert refusal.rule == "data checks"
    assert "exactly as system.yaml has them" in str(refusal)


def test_no_check_or_signal_writes_but_as_the_systems_owner_says() -> None:
    """Who reads a plan reads their names."""
    write = HttpProbe(url="http://127.0.0.1:1/orders", method="POST", json_body='{"id": 1}')
    own, other = (
        Check(id="orders", service="s1", probe=p) for p in (write, HttpProbe(**{**dict(write), "json_body": "{}"}))
    )
    kept = [Service(**{**dict(s), "operations": (own,)}) if s.name == "s1" else s for s in TEN.services]
    where = system(*kept, edges=TEN.dependencies)
    slower = Check(**{**dict(own), "rate_hz": 3.0})
    assert said(plan(where, experiment(hang("s1"), checks=(CHECK, slower))), where) == []
    signal = DetectionSignal(id="well", service="s1", probe=HttpProbe(url="http://127.0.0.1:1/orders", method="DELETE"))
    for more in ({"checks": (CHECK, other)}, {"signals": (signal,)}):
        (refusal,) = refusals(plan(where, experiment(hang("s1"), **more)), where, Limits())
        assert refusal.rule == "writing probes"


def test_a_data_check_reaches_no_address_where_clouds_hand_out_credentials() -> None:
    read = HttpProbe(url="http://169.254.169.254/latest")
    where = having(DataCheck(**{**dict(WRITES), "read": read}))
    (refusal,) = refusals(
        plan(where, experiment(hang("s1"), data_checks=where.service("s1").data_checks)), where, Limits()
    )
    assert refusal.rule == "probe hosts"


def test_what_settles_counts_towards_the_length_of_a_run() -> None:
    where = having(DataCheck(**{**dict(WRITES), "settle_s": 60}))
    asked = experiment(hang("s1"), data_checks=where.service("s1").data_checks)
    assert "run length" in said(plan(where, asked), where, Limits(run_s_max=30))[0]
