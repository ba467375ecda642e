"""Findings that reproduced become templates: from a real ledger, the same whenever they are mined."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from executor.model.faults.data import Lock
from executor.model.faults.network import Latency
from executor.model.faults.service import Error
from executor.model.plan import EdgeTarget, GroupsTarget, InstanceTarget, Plan
from executor.model.system import Dependency, System
from executor.model.vocabulary import ServiceKind, Verdict, Weakness
from executor.state.home import Home
from knowledge.features import describe
from knowledge.findings import findings
from knowledge.ledger import Ledger
from knowledge.patterns.templates import Look, Template, relation, targets, templates
from tests.knowledge.runs import MORNING, Case, evidence_of, plan_of, service, small_system

SLOW = Case(Verdict.BREAKS, Weakness.MISSING_TIMEOUT, "front->back", Latency(delay_ms=3000), availability=0.1)
HELD = Case(Verdict.HOLDS, Weakness.MISSING_TIMEOUT, "front->back", Latency(delay_ms=3000))


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(Home.open(tmp_path / "home")) as opened:
        yield opened


def record(ledger: Ledger, number: int, cases: Sequence[Case], name: str = "store") -> None:
    system = small_system(name)
    plan = plan_of(cases, system)
    evidence = evidence_of(cases, plan, f"run-{number}", MORNING + timedelta(days=number))
    ledger.record(plan, evidence, findings(plan, evidence, system), system)


def mined(ledger: Ledger) -> tuple[Template, ...]:
    measures = {run.run: ledger.measures_of(run.run) for run in ledger.runs()}
    return templates(ledger.past(), ledger.actions(), ledger.findings(), measures)


def test_what_was_seen_twice_becomes_a_template_with_its_record(ledger: Ledger):
    record(ledger, 1, [SLOW])
    assert mined(ledger) == ()
    record(ledger, 2, [SLOW])
    record(ledger, 3, [HELD])
    (template,) = mined(ledger)
    assert template.name.startswith("missing-timeout-latency-")
    assert template.action.fault == Latency(delay_ms=3000)
    assert template.struck == "place"
    assert template.look.words() == "calls of flask (http) to flask (http) over http"
    assert template.checks == ("home", "list", "tips")
    assert template.remedy == "Give it a fallback."
    assert [(each.run, each.verdict) for each in template.record] == [
        ("run-1", Verdict.BREAKS),
        ("run-2", Verdict.BREAKS),
        ("run-3", Verdict.HOLDS),
    ]
    assert (template.broke.good, template.broke.n) == (2, 3)
    assert template.again == "run-2/e0"
    assert mined(ledger) == (template,)


def test_two_runs_of_two_places_or_two_kinds_of_fault_are_no_reproduction(ledger: Ledger):
    record(ledger, 1, [SLOW])
    record(ledger, 2, [SLOW], "other")
    record(ledger, 3, [Case(Verdict.BREAKS, Weakness.MISSING_TIMEOUT, "front->back", Error())])
    record(ledger, 4, [Case(Verdict.INCONCLUSIVE, Weakness.MISSING_TIMEOUT, "front->back", Latency(delay_ms=3000))])
    assert mined(ledger) == ()


def test_the_parameters_are_those_that_last_showed_it_where_it_reproduced(ledger: Ledger):
    record(ledger, 1, [SLOW])
    longer = Case(Verdict.BREAKS, Weakness.MISSING_TIMEOUT, "front->back", Latency(delay_ms=9000))
    record(ledger, 2, [longer])
    record(ledger, 3, [Case(Verdict.BREAKS, Weakness.MISSING_TIMEOUT, "front->side", Latency(delay_ms=4000))])
    (template,) = mined(ledger)
    assert template.action.fault == Latency(delay_ms=9000)
    assert template.places == (("store", "front->back"), ("store", "front->side"))
    assert template.again == "run-3/e0"


def test_it_fits_places_that_look_alike_and_no_others(ledger: Ledger):
    for number in (1, 2):
        record(ledger, number, [SLOW])
    (template,) = mined(ledger)
    other = System(
        name="another",
        services=(
            service("api"),
            service("pay"),
            service("store", kind=ServiceKind.DATABASE, technology="postgresql"),
            service("gate", technology="fastapi"),
        ),
        dependencies=tuple(
            Dependency(caller=a, callee=b, protocol=p)  # type: ignore[arg-type]
            for a, b, p in (("api", "pay", "http"), ("pay", "store", "postgresql"), ("gate", "api", "http"))
        ),
    )
    assert template.fits(other) == ("api->pay",)
    assert template.fits(small_system()) == ("front->back", "front->side")


def test_a_fault_that_names_something_of_one_system_is_for_no_other(ledger: Ledger):
    for number in (1, 2):
        case, system = Case(Verdict.BREAKS, Weakness.MISSING_TIMEOUT, "db"), small_system()
        plan = plan_of([case], system)
        told = plan.model_dump(mode="json")
        (action,) = told["stages"][0]["experiments"][0]["actions"]
        action["fault"] = Lock(table="orders").model_dump(mode="json")
        action["target"] = InstanceTarget(service="db").model_dump(mode="json")
        evidence = evidence_of([case], plan, f"run-{number}", MORNING + timedelta(days=number))
        ledger.record(Plan.model_validate_json(json.dumps(told)), evidence, (), system)
    (template,) = mined(ledger)
    assert template.struck == "place"
    assert template.foreign(small_system()) == ""
    assert template.foreign(small_system("another")) == "table=orders"


def test_a_service_of_several_instances_looks_like_no_single_one():
    system = small_system()
    one = Look.of(describe(system, Weakness.SINGLE_POINT_OF_FAILURE, "back"))
    two = Look.of(replace(describe(system, Weakness.SINGLE_POINT_OF_FAILURE, "back"), instances=2))
    assert one.fits(one)
    assert not one.fits(two)
    assert (one.words(), two.words()) == (
        "flask (http) services with one instance",
        "flask (http) services with several instances",
    )
    edge = describe(system, Weakness.MISSING_TIMEOUT, "front->back")
    assert Look.of(edge).fits(Look.of(replace(edge, instances=2)))


@pytest.mark.parametrize(
    ("place", "target", "what"),
    [
        ("a->b", EdgeTarget(caller="a", callee="b"), "place"),
        ("a->b", InstanceTarget(service="b"), "callee"),
        ("a->b", InstanceTarget(service="a"), "caller"),
        ("a->b", EdgeTarget(caller="b", callee="c"), "edges_beyond"),
        ("a->b", GroupsTarget(a=("a",), b=("b",)), "cut"),
        ("a->b", GroupsTarget(a=("a", "x"), b=("b",)), None),
        ("a->b", InstanceTarget(service="x"), None),
        ("a->b", EdgeTarget(caller="x", callee="y"), None),
        ("b", InstanceTarget(service="b"), "place"),
        ("b", EdgeTarget(caller="a", callee="b"), "edges_in"),
        ("b", EdgeTarget(caller="b", callee="c"), "edges_out"),
    ],
)
def test_what_was_struck_is_told_from_the_place_and_found_again(place: str, target, what):
    assert relation(place, target) == what
    if what:
        system = System(
            name="abc",
            services=tuple(service(name) for name in "abc"),
            dependencies=(Dependency(caller="a", callee="b"), Dependency(caller="b", callee="c")),
        )
        assert target in targets(what, place, target, system)
