"""A fault raised in steps: each is a fault of its own, the guard must agree to each, and only the last is measured."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import psutil
import pytest
from pydantic import ValidationError

from executor.kernel import process
from executor.model.evidence import Event, EventKind, Evidence
from executor.model.faults import SPECS
from executor.model.faults.data import CacheFlush, ConnectionFailure, Lock
from executor.model.faults.network import Latency, Partition, Reset
from executor.model.faults.resource import Connections, Cpu, Memory
from executor.model.faults.service import (
    CorruptResponse,
    Crash,
    DependencyFailure,
    Error,
    Hang,
    Slowdown,
    Stop,
    Timeout,
)
from executor.model.plan import Action, EdgeTarget, Experiment, InstanceTarget, Ramp
from executor.model.probe import Check, TcpProbe
from executor.model.system import ProcessInstance, Service, System
from executor.run.engine import run
from executor.run.pace import steps
from executor.run.rejudge import FILE, Trials
from executor.safety.limits import Limits
from executor.safety.reach import run_s, together
from executor.safety.rules import refusals
from executor.state.home import Home
from executor.state.journal import Journal
from tests.executor.forker import Forker, said
from tests.executor.kit import (
    LIMITS,
    Shelf,
    abort_when,
    approve,
    experiment_on,
    plan_of,
    proxied,
    shelves,
    system_of,
    until,
)

pytestmark = pytest.mark.usefixtures("quick")


def _on(service: str, fault: Any, **more: Any) -> Action:
    given: dict[str, Any] = {"id": "a1", "fault": fault, "target": InstanceTarget(service=service), "duration_s": 1}
    return Action(**{**given, **more})


STRENGTHS = [
    (Latency(delay_ms=300, jitter_ms=30), "delay_ms"),
    (DependencyFailure(mode="slow", delay_ms=400), "delay_ms"),
    (Reset(probability=0.5), "probability"),
    (Error(), "probability"),
    (Timeout(), "probability"),
    (CorruptResponse(), "probability"),
    (Cpu(load_percent=80), "load_percent"),
    (Memory(bytes=2**26), "bytes"),
    (Connections(count=50), "count"),
]


@pytest.mark.parametrize(("fault", "parameter"), STRENGTHS, ids=lambda value: getattr(value, "kind", value))
def test_a_share_of_a_strength_is_a_share_of_its_parameter(fault: Any, parameter: str) -> None:
    assert fault.at(1.0) == fault
    whole = getattr(fault, parameter)
    for share in (0.2, 0.5):
        weaker = fault.at(share)
        assert getattr(weaker, parameter) == pytest.approx(whole * share, abs=1)
        kept = type(fault).model_fields.keys() - set(fault.strength) - {parameter}
        assert all(getattr(weaker, name) == getattr(fault, name) for name in kept)


def test_a_strength_never_falls_below_what_the_fault_allows() -> None:
    assert Memory(bytes=2**21).at(0.05) == Memory(bytes=2**20)
    assert Cpu(load_percent=2).at(0.05) == Cpu(load_percent=1)
    assert Connections(count=3).at(0.05) == Connections(count=1)


def test_the_slower_the_less_is_kept() -> None:
    assert [Slowdown(cpu_percent=20).at(share) for share in (0.5, 1)] == [
        Slowdown(cpu_percent=60),
        Slowdown(cpu_percent=20),
    ]
    assert Slowdown(cpu_percent=90).at(0.1) == Slowdown(cpu_percent=95)


def test_every_fault_either_has_a_strength_or_refuses_a_ramp() -> None:
    for fault in (Hang(), Crash(), Stop(), CacheFlush(), Lock(table="t"), ConnectionFailure()):
        assert fault.at(0.5) is None
        with pytest.raises(ValidationError, match="is there or it is not: it has no strength to raise in steps"):
            _on("base", fault, ramp=Ramp(steps=2, hold_s=1))
    assert Partition().at(0.5) is None
    assert Memory(fill_percent=80).at(0.5) is None
    assert DependencyFailure(mode="refuse").at(0.5) is None
    for spec in SPECS:
        fault = spec.typical(Service(name="db", tables=("orders",), queues=("orders",), directories=("/srv/db",)))
        assert fault or spec.lacks
        assert not fault or fault.strength == () or fault.at(0.5) not in (None, fault)


def test_steps_rise_evenly_to_the_full_fault_and_are_counted_everywhere() -> None:
    action = _on("base", Connections(count=9), ramp=Ramp(steps=3, hold_s=2), duration_s=5)
    assert [(step.fault, step.duration_s, step.ramp) for step in steps(action)] == [
        (Connections(count=3), 2, None),
        (Connections(count=6), 2, None),
    ]
    assert steps(_on("base", Hang())) == []
    assert action.whole_s == 9
    system = System(name="s", services=(Service(name="base", instances=(ProcessInstance(id="b-1", port=1),)),))
    later = _on("base", Connections(count=1), id="a2", start_s=8)
    check = Check(id="base", service="base", probe=TcpProbe(port=1))
    experiment = experiment_on(
        system, "base", checks=(check,), actions=(action, later), baseline_s=1, recovery_deadline_s=3
    )
    assert experiment.fault_s == 9
    assert [len(moment) for moment in together(experiment)] == [1, 2]  # the ramp is there when the other begins
    plan = plan_of(system, (experiment,))
    assert run_s(plan) == 13
    limits = Limits(**{**dict(LIMITS), "fault_s_max": 8})
    assert "action a1 lasts 9 s" in [refusal.measured for refusal in refusals(plan, system, limits)]


def carried_out(directory: Path, system: System, experiment: Experiment, **more: Any) -> Evidence:
    home = Home.open(directory / "home")
    plan = plan_of(system, (experiment,))
    limits = Limits(**{**dict(LIMITS), "lease_s": 20})  # a busy machine may hold up the renewal for some seconds
    evidence = run(plan, approve(home, plan, limits), system=system, limits=limits, home=home, **more)
    journal = Journal(home.journal)
    assert journal.pending() == []
    journal.close()
    return evidence


def _connections(shelf: Shelf) -> int:
    """How many are open to it."""
    own = shelf.found()
    found = [c for c in psutil.net_connections("tcp") if c.raddr and c.raddr.port == shelf.port]
    return sum(c.status == "ESTABLISHED" and (own is None or c.pid != own.pid) for c in found)


def test_a_ramp_raises_the_fault_and_only_the_full_one_is_measured(tmp_path: Path) -> None:
    held: list[tuple[EventKind, int]] = []
    with shelves("base") as (base,):

        def count(event: Event) -> None:
            if event.kind in (EventKind.STEPPED, EventKind.INJECTED):
                held.append((event.kind, _connections(base)))

        system = system_of([base])
        action = _on("base", Connections(count=60), ramp=Ramp(steps=3, hold_s=0.6))
        experiment = experiment_on(system, "base", actions=(action,))
        evidence = carried_out(tmp_path, system, experiment, report=count)
    assert (evidence.outcome, evidence.results[0].aborted, evidence.owed) == ("completed", "", ())
    assert [kind for kind, _ in held] == [EventKind.STEPPED, EventKind.STEPPED, EventKind.INJECTED]
    assert [round(number / 20) for _, number in held] == [1, 2, 3]  # beside them a few of the checks' own
    kinds = [e.kind for e in evidence.timeline if e.kind in (EventKind.ARMED, EventKind.REVERTED, *dict(held))]
    one = [EventKind.ARMED, EventKind.STEPPED, EventKind.REVERTED]
    assert kinds == [*one, *one, EventKind.ARMED, EventKind.INJECTED, EventKind.REVERTED]
    assert [check.verified for check in evidence.results[0].reverts] == [True] * 3
    text = (tmp_path / "home" / "runs" / evidence.run / FILE).read_text(encoding="utf-8")
    (trial,) = Trials.model_validate_json(text).by_experiment["e1"]
    assert trial.inject_started_s is not None
    assert trial.injected_s is not None
    assert trial.revert_started_s is not None
    assert trial.injected_s - trial.inject_started_s > 1.2  # the steps are neither baseline nor fault
    assert trial.revert_started_s - trial.injected_s > 0.9


def test_a_step_that_the_guard_does_not_agree_to_is_the_last(tmp_path: Path) -> None:
    with proxied(tmp_path) as (_, system):
        target = EdgeTarget(caller="front", callee="base")
        action = Action(id="a1", fault=Error(), target=target, duration_s=20, ramp=Ramp(steps=4, hold_s=10))
        experiment = experiment_on(system, "front", actions=(action,), abort_conditions=abort_when("front", 0.95, 20))
        evidence = carried_out(tmp_path, system, experiment)
    assert evidence.outcome == "aborted"
    assert any("abort condition on front" in e.detail for e in evidence.timeline if e.kind is EventKind.ABORTED)
    kinds = [event.kind for event in evidence.timeline]
    assert kinds.count(EventKind.STEPPED) == 1
    assert EventKind.INJECTED not in kinds
    assert evidence.owed == ()


def test_an_executor_that_dies_in_a_step_leaves_nothing(tmp_path: Path) -> None:
    home, place, forker = Home.open(tmp_path / "home"), tmp_path / "place", Forker()
    journal = Journal(home.journal)
    try:
        with shelves("base") as (base,):
            system = system_of([base])
            action = _on("base", Connections(count=60), ramp=Ramp(steps=3, hold_s=15))
            plan = plan_of(system, (experiment_on(system, "base", actions=(action,)),))
            approval = approve(home, plan)
            pid = forker.run(home, place, plan=plan, approval=approval, system=system, limits=LIMITS)
            ticks = process.start_ticks(pid) or 0
            try:
                until(lambda: any(line.startswith("stepped") for line in said(place)), within_s=90)
                assert _connections(base) >= 20
            finally:
                process.send(pid, ticks, signal.SIGKILL)
            until(lambda: not journal.pending() and not journal.running(), within_s=90)
            until(lambda: _connections(base) == 0)
            assert base.answers()
    finally:
        journal.close()
        forker.close()
