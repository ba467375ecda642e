"""What an experiment was exposed to, from its plan, its system and its evidence; and the ledger keeps it."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from executor.model.criteria import BoundedLatency
from executor.model.faults import SPECS, FaultSpec
from executor.model.faults.infrastructure import Credentials
from executor.model.faults.kubernetes import ChaosMesh
from executor.model.faults.network import Latency, Loss
from executor.model.faults.resource import Connections
from executor.model.faults.service import Crash, Error, Hang, Overload
from executor.model.plan import Action, EdgeTarget, Experiment, GroupsTarget, InstanceTarget, Plan
from executor.model.system import Dependency, System
from executor.model.vocabulary import Verdict
from executor.run.record import write_atomically
from executor.state.home import Home
from knowledge.exposure import delay_ms, exposure, from_json
from knowledge.ledger import Ledger
from tests.knowledge.runs import Case, evidence_of, plan_of, service, small_system

CASES = (
    Case(Verdict.BREAKS, availability=0.08),
    Case(Verdict.HOLDS, place="front->side", fault=Latency(delay_ms=3000)),
)


def told(fault: FaultSpec, target: InstanceTarget | EdgeTarget | GroupsTarget, system: System | None = None):
    known = system or small_system()
    (experiment,) = plan_of(CASES[:1], known).experiments
    action = Action(id="a", fault=fault, target=target, duration_s=7)
    struck = Experiment(**{**dict(experiment), "actions": (action,)})
    return exposure(struck, struck.hypotheses[0], known).strikes[0]


EDGE = EdgeTarget(caller="front", callee="back")
BACK = InstanceTarget(service="back")


def test_size_duration_and_what_is_struck_are_told():
    late = told(Latency(delay_ms=3000, jitter_ms=500), EDGE)
    assert (late.type, late.delay_ms, late.duration_s, late.edges, late.service) == (
        "slow",
        2500,
        7,
        ("front->back",),
        "",
    )
    assert told(Hang(), BACK).delay_ms is None
    assert told(Crash(), BACK).edges == ("front->back",)
    assert told(Error(probability=0.25), EDGE).share == 0.25
    assert 0.8 < told(Loss(percent=20), BACK).share < told(Loss(percent=90), BACK).share <= 1
    assert told(Overload(rate_rps=300), BACK).load_hz == 300
    assert told(Connections(count=50), BACK).taken == 50
    assert told(Credentials(), BACK).taken == 0


def test_the_share_of_instances_that_is_struck_is_told():
    known = small_system()
    many = tuple(
        service(s.name, s.kind, s.technology or "", operations=s.operations) if s.name != "back" else _four(s)
        for s in known.services
    )
    system = System(name="store", services=many, dependencies=known.dependencies)
    assert told(Crash(), BACK, system).instances == 0.25
    assert told(Crash(), InstanceTarget(service="back", count=3), system).instances == 0.75


def _four(one):
    instances = [{**one.instances[0].model_dump(), "id": f"back-{n}", "command": f"back {n}"} for n in range(4)]
    return type(one).model_validate({**one.model_dump(), "instances": instances})


def test_what_somebody_else_makes_is_as_late_as_the_fault_within():
    assert delay_ms(ChaosMesh(fault=Latency(delay_ms=1500))) == 1500


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.named())
def test_every_fault_of_the_catalogue_can_be_told_of(spec: type[FaultSpec]):
    known = small_system()
    fault = spec.typical(known.services[0])
    if fault is None:
        return
    targets = {"instances": BACK, "edge": EDGE, "groups": GroupsTarget(a=("front",), b=("back",))}
    strike = told(fault, targets[fault.target_kind])
    assert 0 <= strike.share <= 1
    assert strike.edges


def test_what_is_known_of_time_outs_and_what_nobody_counted_is_told():
    known = small_system()
    edges = (Dependency(caller="front", callee="back", timeout_ms=800), *known.dependencies[1:])
    system = System(name="store", services=known.services, dependencies=edges)
    plan = plan_of(CASES[:1], system)
    (experiment,) = plan.experiments
    hypothesis = type(experiment.hypotheses[0])(
        **{
            **dict(experiment.hypotheses[0]),
            "exercised_by": (("front", "back"),),
            "criteria": (BoundedLatency(checks=("home",), limit_ms=2000),),
        }
    )
    before = exposure(experiment, hypothesis, system)
    assert (before.timeouts, before.uncounted) == ((("front->back", 800),), ())
    assert (before.judged[0].kind, before.judged[0].limit_ms) == ("bounded_latency", 2000)
    assert {look.check: look.answers for look in before.looks}["home"] is None
    after = exposure(experiment, hypothesis, system, evidence_of(CASES[:1], plan).results[0])
    assert after.uncounted == ("front->back",)
    assert {look.check: look.answers for look in after.looks}["home"] == 40
    assert {look.check: look.edges for look in after.looks}["home"] == ("front->back", "front->side", "back->db")


def test_it_comes_back_as_it_went_in_and_what_is_none_is_none():
    (experiment, _) = plan_of(CASES, small_system()).experiments
    whole = exposure(experiment, experiment.hypotheses[0], small_system())
    assert from_json(json.loads(json.dumps(whole.as_json()))) == whole
    assert from_json(None) is None
    assert from_json({"strikes": [{"made": "by another"}]}) is None
    (strike,) = whole.as_json()["strikes"]
    assert from_json({**whole.as_json(), "strikes": [{**strike, "type": "forgotten"}]}) is None


def test_the_ledger_keeps_it(tmp_path: Path):
    system = small_system()
    plan = plan_of(CASES, system)
    with Ledger.open(Home.open(tmp_path)) as ledger:
        ledger.record(plan, evidence_of(CASES, plan), (), system)
        broke, held = ledger.past()
    assert broke.exposure is not None
    assert held.exposure is not None
    assert held.exposure.strikes[0].delay_ms == 3000


def test_an_older_ledger_is_told_what_runs_that_are_kept_were_exposed_to(tmp_path: Path):
    home, system = Home.open(tmp_path), small_system()
    plan = plan_of(CASES, system)
    with Ledger.open(home) as ledger:
        for run in ("run-1", "run-2", "run-gone"):
            ledger.record(plan, evidence_of(CASES, plan, run), (), system)
        fresh = ledger.past()
    renamed = [{**e.model_dump(), "id": f"other-{e.id}"} for e in plan.experiments]
    other = Plan.model_validate({**plan.model_dump(), "stages": [{"experiments": [e]} for e in renamed]})
    for name, value in (("plan", plan), ("system", system), ("evidence", evidence_of(CASES, plan, "run-1"))):
        write_atomically(home.run_dir("run-1") / f"{name}.json", value)
        write_atomically(home.run_dir("run-2") / f"{name}.json", value if name != "plan" else other)
    with sqlite3.connect(home.ledger) as database:
        database.execute("ALTER TABLE results DROP COLUMN exposure")
        database.execute("UPDATE schema_version SET version = 2")
    database.close()
    with Ledger.open(home) as ledger:
        past = ledger.past()
        assert past[:2] == fresh[:2]
        assert [row.exposure for row in past[2:4]] == [None, None], "that run's files are of another plan"
        assert [row.exposure for row in past[4:]] == [None, None], "that run is no longer kept"
        ledger.record(plan, evidence_of(CASES, plan, "run-3"), (), system)
        assert ledger.past_of("run-3")[0].exposure == fresh[0].exposure
