"""Everything a plan can hold can be said in words and shown on a terminal."""

from __future__ import annotations

import io

import pytest
from hypothesis import HealthCheck, given, settings
from rich.console import Console

from executor.model import wording
from executor.model.data_check import DataCheck, SqlQuery
from executor.model.faults import SPECS, FaultSpec
from executor.model.faults.resource import Connections
from executor.model.plan import Action, InstanceTarget, Plan, Ramp
from executor.model.probe import HttpProbe
from executor.model.system import Service
from executor.safety.reach import run_s
from planner import words
from planner.cli import output, plan_view
from tests.executor.faults.cases import all_cases
from tests.executor.model.examples import plans
from tests.executor.safety.examples import chain, hang
from tests.executor.safety.examples import experiment as experiment_of
from tests.executor.safety.examples import plan as plan_for


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.named())
def test_every_fault_has_words(spec: type[FaultSpec]) -> None:
    fault = spec.typical(Service(name="db", tables=("orders",), queues=("orders",)))
    if fault is None:  # where is yours to say, so the contract suite's is taken
        fault = next(case.fault for case in all_cases() if case.fault.kind == spec.named())
    said = fault.words()
    assert len(said) > 8
    assert "_" not in said


def test_who_signs_a_ramp_reads_of_it() -> None:
    given = {"id": "a", "fault": Connections(count=9), "target": InstanceTarget(service="app"), "duration_s": 5}
    said = words.action(Action(**given, ramp=Ramp(steps=3, hold_s=2)))
    assert said.endswith("hold 9 idle connections open to it, for 5 s, raised in 3 steps, each before it held 2 s")


def test_who_signs_reads_what_a_data_check_writes_to_the_letter() -> None:
    write = HttpProbe(url="http://127.0.0.1:1/orders", method="POST", json_body='{"id": "{id}"}')
    read = SqlQuery(dsn="env:ORDERS", query="SELECT id FROM orders")
    alone = DataCheck(id="paid", service="orders", invariants=(HttpProbe(url="http://127.0.0.1:1/pay", method="POST"),))
    assert words.data_check(DataCheck(id="kept", service="orders", write=write, read=read)) == (
        '10 records a second into orders, which stay: POST http://127.0.0.1:1/orders with {"id": "{id}"}; '
        "kept reads them back: SELECT id FROM orders (PostgreSQL at env:ORDERS)"
    )
    said = words.data_check(alone)
    assert said == "no records; paid asks of orders before and after: POST http://127.0.0.1:1/pay"


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.35, "350 ms"), (3.5, "3.5 s"), (3.0, "3 s"), (125, "2 min 5 s"), (600, "10 min")]
)
def test_durations_read_as_people_write_them(seconds: float, said: str) -> None:
    assert wording.duration(seconds) == said


def test_what_data_takes_to_settle_counts_towards_the_longest_that_a_plan_can_take() -> None:
    shop = chain()
    kept = DataCheck(id="kept", service="s1", invariants=(SqlQuery(dsn="env:X", query="SELECT true"),), settle_s=60)
    taken = [experiment_of(hang("s1"), data_checks=checks, trials=2) for checks in ((), (kept,))]
    pages = [io.StringIO(), io.StringIO()]
    for page, each in zip(pages, taken, strict=True):
        plan_view.show(made := plan_for(shop, each), Console(file=page, width=200, theme=output.THEME))
        assert f"at most {wording.duration(run_s(made))}" in page.getvalue()
    assert run_s(plan_for(shop, taken[1])) - run_s(plan_for(shop, taken[0])) == 120


@given(plans())
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
def test_every_plan_can_be_shown_whole(plan: Plan) -> None:
    page = io.StringIO()
    console = Console(file=page, width=200, theme=output.THEME)
    plan_view.show(plan, console)
    shown = page.getvalue()
    for experiment in plan.experiments:
        for action in experiment.actions:
            assert words.action(action)[:40] in shown
