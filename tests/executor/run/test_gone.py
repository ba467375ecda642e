"""A fault that goes before its time, with its proxy or its target, proves nothing of the system."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from executor.kernel import locate, process
from executor.model.evidence import Event, EventKind
from executor.model.faults import FaultSpec
from executor.model.faults.infrastructure import Vm, Zone
from executor.model.faults.network import Latency
from executor.model.faults.service import Crash, Stop
from executor.model.plan import Action, EdgeTarget, InstanceTarget
from executor.model.system import ProcessInstance, Service, System
from executor.model.vocabulary import Verdict
from executor.run import engine
from executor.state.home import Home
from tests.executor.faults.machine import Machine, unavailable
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
from tests.missing import missing

RESUME = {"execute": "cont"}
DISK = {"driver": "scsi-hd", "id": "data0", "bus": "scsi0.0", "drive": "data", "serial": "D1"}
PLUG_IN = {"execute": "device_add", "arguments": DISK}


@pytest.mark.parametrize(
    ("duration_s", "fields", "said"),
    [
        (10.0, {}, "ended before its time: the fault went with the fault proxy"),
        (0.5, {}, "ended before its time: the fault went with the fault proxy"),
        (10.0, {"abort_conditions": abort_when("front")}, " had gone before"),
    ],
    ids=["between renewals", "before the first renewal", "and the guard is the first to see it"],
)
def test_a_proxy_that_is_killed_in_mid_run_aborts_it(
    tmp_path: Path, duration_s: float, fields: dict[str, Any], said: str
) -> None:
    home = Home.open(tmp_path / "home")
    limits = LIMITS.model_copy(update={"lease_s": 30.0 if fields else LIMITS.lease_s})  # renewed too late to see it

    def kill(event: Event) -> None:
        if event.kind is EventKind.INJECTED:
            proxy = locate.find(ProcessInstance(id="proxy", command=str(tmp_path / "proxy.json")))
            process.send(proxy.pid, proxy.start_ticks, signal.SIGKILL)

    with proxied(tmp_path) as (_, system):
        target = EdgeTarget(caller="front", callee="base")
        action = Action(id="late", fault=Latency(delay_ms=300), target=target, duration_s=duration_s)
        experiment = experiment_on(system, "front", actions=(action,), recovery_deadline_s=2, **fields)
        plan = plan_of(system, (experiment,))
        evidence = engine.run(plan, approve(home, plan, limits), system=system, limits=limits, home=home, report=kill)
    assert evidence.outcome == "aborted"
    assert any(said in event.detail for event in evidence.timeline)
    assert {h.verdict for result in evidence.results for h in result.hypotheses} == {Verdict.ABORTED}
    assert evidence.owed == ()


@pytest.mark.parametrize(
    ("restarts", "sent", "outcome"),
    [
        ("unknown", signal.SIGKILL, "aborted"),
        ("unknown", signal.SIGCONT, "aborted"),
        ("supervised", signal.SIGKILL, "completed"),
    ],
    ids=["killed", "continued", "ended by its supervisor"],
)
def test_a_frozen_process_that_others_end_or_wake(
    tmp_path: Path, restarts: str, sent: signal.Signals, outcome: str
) -> None:
    home = Home.open(tmp_path / "home")

    with shelves("base") as (base,):
        plain = system_of([base])
        services = [{**service.model_dump(), "restarts": restarts} for service in plain.services]
        system = System.model_validate({**plain.model_dump(), "services": services})

        def meddle(event: Event) -> None:
            found = base.found()
            if event.kind is EventKind.INJECTED and found is not None:
                process.send(found.pid, found.start_ticks, sent)

        plan = plan_of(system, (experiment_on(system, "base", duration_s=1.5, recovery_deadline_s=2),))
        evidence = engine.run(plan, approve(home, plan), system=system, limits=LIMITS, home=home, report=meddle)
    assert evidence.outcome == outcome
    early = [event.detail for event in evidence.timeline if "ended before its time" in event.detail]
    assert bool(early) == (outcome == "aborted")
    assert evidence.owed == ()


@pytest.mark.parametrize(
    "duration_s",
    [
        pytest.param(6.0, id="between renewals"),
        pytest.param(0.7, id="before the first renewal", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize(
    ("fault", "supervised", "outcome"),
    [
        (Crash(restart="murphy"), True, "aborted"),
        (Stop(restart="murphy", grace_s=0.5), True, "aborted"),
        (Crash(), True, "completed"),
        (Crash(restart="murphy"), False, "completed"),
    ],
    ids=lambda value: value.words() if isinstance(value, FaultSpec) else "",
)
def test_one_that_comes_back_though_nobody_was_to_start_it(
    tmp_path: Path, fault: Any, supervised: bool, outcome: str, duration_s: float
) -> None:
    home = Home.open(tmp_path / "home")
    base = Shelf("base", supervised=supervised)
    try:
        until(base.answers)
        system = system_of([base])
        experiment = experiment_on(system, "base", fault, duration_s=duration_s, recovery_deadline_s=3)
        plan = plan_of(system, (experiment,))
        evidence = engine.run(plan, approve(home, plan), system=system, limits=LIMITS, home=home)
        until(base.answers)
    finally:
        base.end()
    assert evidence.outcome == outcome, evidence.reason
    early = [event.detail for event in evidence.timeline if "ended before its time" in event.detail]
    assert [detail for detail in early if "nobody was to" in detail] == early
    assert bool(early) == (outcome == "aborted")
    assert evidence.owed == ()


@pytest.mark.parametrize(
    ("fault", "meddling"),
    [
        (Vm(how="pause"), RESUME),
        (Zone(zone="a", how="pause"), RESUME),
        (Vm(how="detach_disk", device="data0"), PLUG_IN),
        (Zone(zone="a", how="pause"), None),
        (Vm(how="reset"), None),
    ],
    ids=["resumed", "resumed in a zone", "plugged in again", "left alone", "over at once"],
)
def test_a_machine_that_others_give_back(tmp_path: Path, fault: Any, meddling: dict[str, Any] | None) -> None:
    if reason := unavailable():
        missing(reason)
    home = Home.open(tmp_path / "home")
    machine = Machine(tmp_path, "one")
    with shelves("base") as (base,):
        plain = system_of([base])
        placed = {**machine.instance().model_dump(), "zone": "a"}
        service = Service.model_validate({"name": "machines", "instances": [placed], "restarts": "by_hand"})
        system = System(name="library", services=(*plain.services, service))

        def meddle(event: Event) -> None:
            if event.kind is EventKind.INJECTED and meddling:
                (answer,) = machine.ask(meddling)
                assert answer == {}

        target = InstanceTarget(service="machines")
        action = Action(id="cut", fault=fault, target=target, duration_s=1)
        plan = plan_of(system, (experiment_on(system, "base", actions=(action,), recovery_deadline_s=2),))
        try:
            evidence = engine.run(plan, approve(home, plan), system=system, limits=LIMITS, home=home, report=meddle)
            until(lambda: machine.sees() == ".")
        finally:
            machine.end()
    assert evidence.owed == ()
    assert evidence.outcome == ("aborted" if meddling else "completed")
    early = [event.detail for event in evidence.timeline if "ended before its time" in event.detail]
    assert all(detail.endswith("the target no longer shows it") for detail in early)
    assert bool(early) == bool(meddling)
