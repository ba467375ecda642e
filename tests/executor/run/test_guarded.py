"""Whole runs whose guard cannot see, costs too much, or sees that the system is not well before a fault."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from executor.clock import SystemClock
from executor.kernel import process
from executor.measure import stream
from executor.model.evidence import Event, EventKind, Evidence
from executor.model.plan import Experiment
from executor.model.vocabulary import Phase
from executor.run.engine import run
from executor.safety.limits import Limits
from executor.safety.windows import ChangeWindow
from executor.state.home import Home
from executor.state.journal import Journal
from tests.executor.kit import LIMITS, Shelf, approve, experiment_on, plan_of, system_of, until

pytestmark = pytest.mark.usefixtures("quick")


def carried_out(directory: Path, running: tuple[Shelf, ...], *stages: Experiment, **more: Any) -> Evidence:
    system, home = system_of([*running]), Home.open(directory / "home")
    limits = more.pop("limits", LIMITS)
    plan = plan_of(system, *((stage,) for stage in stages))
    evidence = run(plan, approve(home, plan, limits), system=system, limits=limits, home=home, **more)
    journal = Journal(home.journal)
    assert journal.pending() == []
    journal.close()
    return evidence


def aborted(evidence: Evidence) -> str:
    return next(event.detail for event in evidence.timeline if event.kind is EventKind.ABORTED)


def test_a_probe_that_crashes_ends_the_run(
    tmp_path: Path, pair: tuple[Shelf, Shelf], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, broken = stream.ask, False

    async def ask(*given: Any) -> Any:
        if broken:
            raise RuntimeError("the probe is broken")
        return await real(*given)

    def breaks(event: Event) -> None:
        nonlocal broken
        broken = broken or event.kind is EventKind.INJECTED

    monkeypatch.setattr(stream, "ask", ask)
    evidence = carried_out(tmp_path, pair, experiment_on(system_of([*pair]), "base", duration_s=30), report=breaks)
    assert evidence.outcome == "aborted"
    assert "the probes failed" in aborted(evidence)
    assert not pair[0].stopped()


def test_a_guard_that_costs_too_much_ends_the_run(
    tmp_path: Path, pair: tuple[Shelf, Shelf], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("executor.run.budgeting._BEGUN_S", 0.0)
    guard = {**LIMITS.guard.model_dump(), "cost_percent_max": 0.0001}
    limits = Limits.model_validate({**LIMITS.model_dump(), "guard": guard})
    evidence = carried_out(tmp_path, pair, experiment_on(system_of([*pair]), "base", duration_s=30), limits=limits)
    assert evidence.outcome == "aborted"
    assert aborted(evidence).startswith("guard cost: ")
    assert not pair[0].stopped()


class Late(SystemClock):
    """Ten hours pass once it is told so."""

    passed = timedelta()

    def now(self) -> datetime:
        return super().now() + self.passed


def test_a_run_ends_with_its_change_window(tmp_path: Path, pair: tuple[Shelf, Shelf]) -> None:
    clock, system = Late(), system_of([*pair])
    begins, ends = (f"{clock.now() + timedelta(hours=hours):%H:00}" for hours in (-2, 4))
    window = ChangeWindow(begins=begins, ends=ends, environments=(system.environment,))
    limits = Limits(**{**dict(LIMITS), "change_windows": (window,)})

    def pass_time(event: Event) -> None:
        if event.kind is EventKind.INJECTED:
            clock.passed = timedelta(hours=10)

    experiment = experiment_on(system, "base", duration_s=30)
    evidence = carried_out(tmp_path, pair, experiment, limits=limits, clock=clock, report=pass_time)
    assert evidence.outcome == "aborted"
    assert aborted(evidence).startswith("change window: ")
    assert not pair[0].stopped()


def test_a_later_stage_is_not_begun_on_what_the_first_left_unwell(tmp_path: Path, pair: tuple[Shelf, Shelf]) -> None:
    base, _ = pair
    system = system_of([*pair])

    def kill(event: Event) -> None:
        if event.experiment == "e1" and event.phase is Phase.RECOVERY:
            found = base.found()
            assert found is not None
            process.send(found.pid, found.start_ticks, process.signal.SIGKILL)
            until(lambda: not base.answers())

    first = experiment_on(system, "front", number=1, duration_s=0.3, recovery_deadline_s=0.5)
    evidence = carried_out(tmp_path, pair, first, experiment_on(system, "front", number=2), report=kill)
    second = [event.kind for event in evidence.timeline if event.experiment == "e2"]
    assert EventKind.ARMED not in second
    assert evidence.results[1].aborted.startswith("health: base answered well 0 of ")
    assert evidence.outcome == "completed"
