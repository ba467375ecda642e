"""A fault that goes before its time, with its proxy or its target, proves nothing of the system."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from executor.kernel import process
from executor.model.evidence import Event, EventKind
from executor.model.faults.network import Latency
from executor.model.plan import Action, EdgeTarget
from executor.model.system import ProcessInstance, System
from executor.model.vocabulary import Verdict
from executor.run import engine
from executor.state.home import Home
from tests.executor.kit import LIMITS, approve, experiment_on, plan_of, proxied, shelves, system_of


@pytest.mark.parametrize("duration_s", [10.0, 0.5], ids=["between renewals", "before the first renewal"])
def test_a_proxy_that_is_killed_in_mid_run_aborts_it(tmp_path: Path, duration_s: float) -> None:
    home = Home.open(tmp_path / "home")

    def kill(event: Event) -> None:
        if event.kind is EventKind.INJECTED:
            proxy = process.find(ProcessInstance(id="proxy", command=str(tmp_path / "proxy.json")))
            process.send(proxy.pid, proxy.start_ticks, signal.SIGKILL)

    with proxied(tmp_path) as (_, system):
        target = EdgeTarget(caller="front", callee="base")
        action = Action(id="late", fault=Latency(delay_ms=300), target=target, duration_s=duration_s)
        plan = plan_of(system, (experiment_on(system, "front", actions=(action,), recovery_deadline_s=2),))
        evidence = engine.run(plan, approve(home, plan), system=system, limits=LIMITS, home=home, report=kill)
    assert evidence.outcome == "aborted"
    assert any("ended before its time: the fault went with the fault proxy" in e.detail for e in evidence.timeline)
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
