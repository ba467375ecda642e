"""A fault that goes before its time, with the proxy that carried it, proves nothing of the system."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from executor import engine
from executor.drivers import process
from executor.home import Home
from executor.model.evidence import Event, EventKind
from executor.model.faults.network import Latency
from executor.model.plan import Action, EdgeTarget
from executor.model.system import ProcessInstance
from executor.model.vocabulary import Verdict
from tests.executor.kit import LIMITS, approve, experiment_on, plan_of, proxied


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
