from __future__ import annotations

import random
import re
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from executor.errors import SafetyRefusalError, UnavailableError
from executor.faults.service.hang import Hang as Hang_
from executor.kernel import process
from executor.model.criteria import CallsWithin, SteadyState
from executor.model.evidence import Event, EventKind, Evidence
from executor.model.faults.service import Crash, Error, Hang
from executor.model.plan import Action, EdgeTarget, Experiment, Hypothesis, Prediction
from executor.model.system import System
from executor.model.vocabulary import Phase, Verdict, Weakness
from executor.run.engine import load_evidence, run, run_id
from executor.run.observations import load
from executor.run.rejudge import differences
from executor.safety.halt import halt
from executor.safety.limits import Limits
from executor.state import audit
from executor.state.home import Home
from executor.state.journal import Journal
from executor.undo.recover import recover
from tests.executor.injections import nothing_left
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


def carried_out(
    home: Home,
    system: System,
    *stages: tuple[Experiment, ...],
    limits: Limits = LIMITS,
    report: Callable[[Event], None] = lambda _event: None,
    stop: threading.Event | None = None,
) -> Evidence:
    plan = plan_of(system, *stages)
    return run(plan, approve(home, plan, limits), system=system, limits=limits, home=home, report=report, stop=stop)


def kinds(evidence: Evidence, experiment: str = "e1") -> list[EventKind]:
    return [event.kind for event in evidence.timeline if event.experiment == experiment]


def finished(home: Home) -> dict[str, Any]:
    """What the audit trail says of the end of the last run."""
    return [row.detail for row in audit.entries(home) if row.what == "run_finished"][-1]


def verdicts(evidence: Evidence) -> dict[str, Verdict]:
    return {h.hypothesis: h.verdict for result in evidence.results for h in result.hypotheses}


def test_a_run_is_normal_then_faulted_then_normal(home: Home, pair: tuple[Shelf, Shelf]) -> None:
    base, _ = pair
    seen: dict[EventKind, bool] = {}
    before = base.found()

    def look(event: Event) -> None:
        if event.kind in (EventKind.ARMED, EventKind.INJECTED, EventKind.REVERTED) and event.experiment == "e1":
            seen[event.kind] = base.stopped()

    system = system_of([*pair])
    evidence = carried_out(
        home,
        system,
        (experiment_on(system, "base", Hang(), duration_s=1.8),),
        (experiment_on(system, "base", Crash(restart="murphy"), number=2, duration_s=1.0),),
        report=look,
    )
    assert seen == {EventKind.ARMED: False, EventKind.INJECTED: True, EventKind.REVERTED: False}
    assert evidence.outcome == "completed"
    assert evidence.owed == ()
    assert verdicts(evidence) == {
        "h1": Verdict.BREAKS,
        "r1": Verdict.HOLDS,
        "h2": Verdict.BREAKS,
        "r2": Verdict.HOLDS,
    }
    assert [(c.action, c.reverted, c.verified) for r in evidence.results for c in r.reverts] == [
        ("a1", True, True),
        ("a2", True, True),
    ]
    assert base.found() != before
    assert base.answers()
    assert nothing_left(home)
    assert [target.pid for target in evidence.targets] == [before.pid if before else None] * 2


def test_what_a_run_leaves_on_disk(home: Home, pair: tuple[Shelf, Shelf]) -> None:
    system = system_of([*pair])
    live: list[Event] = []
    evidence = carried_out(home, system, (experiment_on(system, "base", duration_s=0.5),), report=live.append)
    directory = home.runs / evidence.run
    assert load_evidence(home, evidence.run) == evidence
    assert sorted(live, key=lambda event: event.at_s) == list(evidence.timeline)
    assert sorted(path.name for path in directory.iterdir()) == [
        "approval.json",
        "evidence.json",
        "limits.json",
        "observations.parquet",
        "plan.json",
        "system.json",
        "trials.json",
    ]
    assert differences(home, evidence) == []
    (result,) = evidence.results
    recording = load(directory, result.experiment)
    assert len(recording) == evidence.observation_count > 0
    assert set(recording.sources) == {"base", "front"}
    assert evidence.cost["probes_sent"] == evidence.observation_count
    assert {"cpu_s", "guard_cpu_s", "peak_rss_bytes"} <= evidence.cost.keys()
    rows = audit.entries(home)
    assert audit.verify(home).intact
    assert [row.what for row in rows if row.what not in ("key_created", "asked")] == [
        "run_started",
        "armed",
        "injected",
        "reverted",
        "run_finished",
    ]
    assert load_evidence(home, "run-unknown") is None


def test_an_approval_is_good_for_one_run(home: Home, pair: tuple[Shelf, Shelf]) -> None:
    system = system_of([*pair])
    plan = plan_of(system, (experiment_on(system, "base", duration_s=0.5),))
    approval = approve(home, plan)
    stop = threading.Event()
    evidence = run(plan, approval, system=system, limits=LIMITS, home=home, stop=stop, report=lambda _event: stop.set())
    assert evidence.outcome == "interrupted"
    with pytest.raises(SafetyRefusalError, match="single use"):
        run(plan, approval, system=system, limits=LIMITS, home=home)


def test_a_refused_run_injects_nothing_and_keeps_its_approval(home: Home, pair: tuple[Shelf, Shelf]) -> None:
    system = system_of([*pair])
    plan = plan_of(system, (experiment_on(system, "base", duration_s=0.5),))
    approval = approve(home, plan)
    pair[0].started.terminate()
    pair[0].started.wait()
    with pytest.raises(UnavailableError, match="no process"):
        run(plan, approval, system=system, limits=LIMITS, home=home)
    journal = Journal(home.journal)
    assert journal.used(approval.grant.nonce) == ()
    journal.close()
    assert nothing_left(home)
    assert not (home.runs / run_id(approval)).exists()


def test_no_watchdog_no_run(
    home: Home, pair: tuple[Shelf, Shelf], quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = system_of([*pair])
    plan = plan_of(system, (experiment_on(system, "base", duration_s=0.5),))
    approval = approve(home, plan)
    monkeypatch.setattr("executor.undo.guardian.sys.executable", "/bin/false")
    with pytest.raises(UnavailableError, match="watchdog"):
        run(plan, approval, system=system, limits=LIMITS, home=home)
    assert nothing_left(home)


def test_experiments_of_a_stage_run_side_by_side(home: Home, quick: None) -> None:
    with shelves("one", "two", chained=False) as running:
        system = system_of(running)
        together: list[bool] = []

        def look(event: Event) -> None:
            if event.kind is EventKind.REVERTED:
                together.append(any(shelf.stopped() for shelf in running))

        stage = (
            experiment_on(system, "one", number=1, duration_s=1.0),
            experiment_on(system, "two", number=2, duration_s=1.0),
        )
        evidence = carried_out(home, system, stage, report=look)
        injected = [e.at_s for e in evidence.timeline if e.kind is EventKind.INJECTED]
        reverted = [e.at_s for e in evidence.timeline if e.kind is EventKind.REVERTED]
        assert max(injected) < min(reverted)
        assert evidence.outcome == "completed"
        assert all(shelf.answers() for shelf in running)


@pytest.mark.slow
def test_trials_are_repeated_and_resolved_anew(home: Home, pair: tuple[Shelf, Shelf], quick: None) -> None:
    system = system_of([*pair])
    experiment = experiment_on(system, "base", Crash(restart="murphy"), trials=2, duration_s=0.3)
    evidence = carried_out(home, system, (experiment,))
    (result,) = evidence.results
    assert result.trials == 2
    assert len({target.pid for target in evidence.targets}) == 2
    phases = [event.phase for event in evidence.timeline if event.kind is EventKind.PHASE_STARTED]
    assert phases == [Phase.BASELINE, Phase.FAULT, Phase.RECOVERY] * 2


def test_a_fault_on_an_edge_is_renewed_counted_and_judged(home: Home, tmp_path: Path, quick: None) -> None:
    limits = LIMITS.model_validate({**LIMITS.model_dump(), "lease_s": 1.0})
    with proxied(tmp_path) as ((base, front), system):
        hypothesis = Hypothesis(
            id="h1",
            weakness=Weakness.HARD_DEPENDENCY,
            place="front->base",
            statement="front answers while base answers with errors",
            criteria=(SteadyState(checks=("front",)), CallsWithin(caller="front", callee="base", factor_max=1.5)),
            exercised_by=(("front", "base"),),
            prediction=Prediction(probability_breaks=0.5),
        )
        action = Action(
            id="a1", fault=Error(status=500), target=EdgeTarget(caller="front", callee="base"), duration_s=2
        )
        experiment = experiment_on(system, "front", hypotheses=(hypothesis,), actions=(action,), baseline_s=1.0)
        evidence = carried_out(home, system, (experiment,), limits=limits)
        (result,) = evidence.results[0].hypotheses
        steady, calls = result.criteria
        assert (steady.verdict, calls.verdict) == (Verdict.BREAKS, Verdict.HOLDS), result
        assert [target.place for target in evidence.targets] == ["front->base"]
        assert any(figure.name == "amplification" for figure in evidence.results[0].figures)
        assert evidence.outcome == "completed"
        until(front.answers)
        assert base.answers()


def test_a_halt_from_elsewhere_ends_the_run(home: Home, pair: tuple[Shelf, Shelf], quick: None) -> None:
    system = system_of([*pair])

    def look(event: Event) -> None:
        if event.kind is EventKind.INJECTED:
            threading.Thread(target=halt, args=(home, "a drill")).start()

    evidence = carried_out(home, system, (experiment_on(system, "base", duration_s=20),), report=look)
    assert evidence.outcome == "halted"
    assert finished(home)["reason"].endswith(" halted everything: a drill")
    assert verdicts(evidence)["r1"] is Verdict.ABORTED
    assert not pair[0].stopped()
    assert nothing_left(home)
    plan = plan_of(system, (experiment_on(system, "base"),))
    with pytest.raises(SafetyRefusalError, match="halt"):
        run(plan, approve(home, plan), system=system, limits=LIMITS, home=home)


def test_an_abort_condition_undoes_everything_in_the_run(home: Home, pair: tuple[Shelf, Shelf], quick: None) -> None:
    system = system_of([*pair])
    evidence = carried_out(
        home,
        system,
        (experiment_on(system, "base", duration_s=20, abort_conditions=abort_when("front")),),
        (experiment_on(system, "front", number=2),),
    )
    assert evidence.outcome == "aborted"
    (why,) = (e.detail for e in evidence.timeline if e.kind is EventKind.ABORTED)
    assert re.match(r"e1: abort condition on front: \d of the last \d+ answers were good, and the limit is ", why)
    assert finished(home) == {"run": evidence.run, "outcome": "aborted", "reason": why}
    assert not pair[0].stopped()
    assert kinds(evidence, "e2") == []
    assert verdicts(evidence)["h2"] is Verdict.ABORTED
    assert evidence.results[1].trials == 0
    assert nothing_left(home)


@pytest.mark.parametrize(
    ("guard", "rule"),
    [({"memory_free_percent_min": 100}, "host memory"), ({"check_silent_s": 1}, "guard readable: base has brought no")],
)
def test_the_guard_ends_the_run(
    home: Home, pair: tuple[Shelf, Shelf], quick: None, guard: dict[str, float], rule: str
) -> None:
    limits = LIMITS.model_validate(
        {**LIMITS.model_dump(), "guard": {**LIMITS.guard.model_dump(), **guard}},
    )
    system = system_of([*pair])
    evidence = carried_out(home, system, (experiment_on(system, "base", duration_s=20),), limits=limits)
    assert evidence.outcome == "aborted"
    assert any(rule in e.detail for e in evidence.timeline if e.kind is EventKind.ABORTED)
    assert not pair[0].stopped()
    assert nothing_left(home)


def test_a_judge_that_fails_says_nothing_and_loses_nothing(
    home: Home, pair: tuple[Shelf, Shelf], quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object) -> object:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(
        "executor.measure.judge.JUDGES", {"steady_state": broken, "recovers_within": broken}, raising=True
    )
    system = system_of([*pair])
    evidence = carried_out(home, system, (experiment_on(system, "base", duration_s=0.5),))
    assert set(verdicts(evidence).values()) == {Verdict.INCONCLUSIVE}
    assert evidence.observation_count > 0


def test_a_dead_watchdog_is_replaced(home: Home, pair: tuple[Shelf, Shelf], quick: None) -> None:
    system = system_of([*pair])
    killed: list[int] = []

    def look(event: Event) -> None:
        if event.kind is EventKind.INJECTED and not killed:
            killed.extend(_watchdogs(home))
            for pid in killed:
                found = process.Found(pid, _ticks(pid))
                process.send(found.pid, found.start_ticks, _KILL)

    evidence = carried_out(home, system, (experiment_on(system, "base", duration_s=2),), report=look)
    assert len(killed) == 1
    assert evidence.outcome == "completed"
    assert "watchdog_replaced" in [row.what for row in audit.entries(home)]


def test_a_dead_watchdog_that_cannot_be_replaced_ends_the_run(
    home: Home, pair: tuple[Shelf, Shelf], quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = system_of([*pair])

    def look(event: Event) -> None:
        if event.kind is EventKind.INJECTED:
            monkeypatch.setattr("executor.undo.guardian.sys.executable", "/bin/false")
            for pid in _watchdogs(home):
                process.send(pid, _ticks(pid), _KILL)

    evidence = carried_out(home, system, (experiment_on(system, "base", duration_s=20),), report=look)
    assert evidence.outcome == "aborted"
    assert any("watchdog" in e.detail for e in evidence.timeline if e.kind is EventKind.ABORTED)
    assert not pair[0].stopped()
    assert nothing_left(home)


def test_a_fault_that_cannot_be_made_ends_its_experiment_only(
    home: Home, pair: tuple[Shelf, Shelf], quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Hang, record: object, lease_s: float) -> dict[str, object]:
        raise RuntimeError("no way")

    monkeypatch.setattr("executor.faults.service.crash.Crash.inject", broken)
    system = system_of([*pair])
    evidence = carried_out(
        home,
        system,
        (experiment_on(system, "base", Crash(restart="murphy")),),
        (experiment_on(system, "base", number=2, duration_s=1.8),),
    )
    assert evidence.outcome == "completed"
    assert "no way" in evidence.results[0].aborted
    assert verdicts(evidence) == {
        "h1": Verdict.ABORTED,
        "r1": Verdict.ABORTED,
        "h2": Verdict.BREAKS,
        "r2": Verdict.HOLDS,
    }
    assert nothing_left(home)


def test_a_fault_that_does_not_take_is_no_experiment(
    home: Home, pair: tuple[Shelf, Shelf], quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("executor.faults.service.hang.Hang.inject", lambda *_args: {})
    monkeypatch.setattr("executor.run.strike.SHOWN_S", 0.2)
    system = system_of([*pair])
    evidence = carried_out(home, system, (experiment_on(system, "base"),))
    assert "does not show the fault" in evidence.results[0].aborted
    assert set(verdicts(evidence).values()) == {Verdict.ABORTED}
    assert evidence.results[0].validations == ()
    assert nothing_left(home)


def test_a_fault_that_is_made_too_late_undoes_itself(
    home: Home, pair: tuple[Shelf, Shelf], quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, real, made = threading.Event(), Hang_.inject, threading.Event()
    monkeypatch.setattr("executor.run.conclude.LATE_S", 0.2)

    def late(self: Hang_, record: Mapping[str, Any], lease_s: float) -> dict[str, Any]:
        release.wait(60)
        try:
            return real(self, record, lease_s)
        finally:
            made.set()

    monkeypatch.setattr(Hang_, "inject", late)
    monkeypatch.setattr("executor.run.trial.INJECT_S", 0.3)

    system = system_of([*pair])
    evidence = carried_out(home, system, (experiment_on(system, "base"),))
    assert "takes longer" in evidence.results[0].aborted
    assert "still being made" in evidence.owed[0]
    release.set()  # everybody has given it up, and the run has ended: now it comes
    assert made.wait(30)
    until(lambda: not pair[0].stopped())
    until(lambda: nothing_left(home))


@pytest.mark.parametrize("struck", [False, True], ids=["that lives", "that was killed as the run ended"])
def test_a_revert_that_fails_is_owed_and_the_watchdog_pays(
    home: Home, pair: tuple[Shelf, Shelf], quick: None, monkeypatch: pytest.MonkeyPatch, struck: bool
) -> None:
    def broken(self: object, record: object) -> None:
        raise RuntimeError("cannot undo")

    def look(event: Event) -> None:
        if struck and event.kind is EventKind.RUN_FINISHED:
            for pid in _watchdogs(home):
                process.send(pid, _ticks(pid), _KILL)

    system = system_of([*pair])
    with monkeypatch.context() as patch:
        patch.setattr("executor.faults.service.hang.Hang.revert", broken)
        patch.setattr("executor.undo.revert.BACKOFF_S", ())
        evidence = carried_out(
            home,
            system,
            (experiment_on(system, "base", duration_s=0.5),),
            (experiment_on(system, "base", number=2),),
            report=look,
        )
    assert evidence.outcome == "aborted"
    assert len(evidence.owed) == 1
    assert "cannot undo" in evidence.owed[0]
    assert EventKind.REVERT_OWED in kinds(evidence)
    assert kinds(evidence, "e2") == []
    until(lambda: not pair[0].stopped())
    until(lambda: nothing_left(home))
    until(lambda: not _watchdogs(home))
    assert recover(home) == []


def test_a_report_that_raises_stops_nothing(home: Home, pair: tuple[Shelf, Shelf], quick: None) -> None:
    def broken(event: Event) -> None:
        raise OSError("nobody reads")

    system = system_of([*pair])
    evidence = carried_out(home, system, (experiment_on(system, "base", duration_s=0.5),), report=broken)
    assert evidence.outcome == "completed"


def test_an_interrupt_that_nobody_caught_undoes_everything(
    home: Home, pair: tuple[Shelf, Shelf], quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("executor.run.trial.Trial._recovery", interrupted)
    system = system_of([*pair])
    plan = plan_of(system, (experiment_on(system, "base", duration_s=0.5),))
    approval = approve(home, plan)
    with pytest.raises(BaseException):  # noqa: B017 - the event loop may wrap it in a group
        run(plan, approval, system=system, limits=LIMITS, home=home)
    assert not pair[0].stopped()
    assert nothing_left(home)
    left = load_evidence(home, run_id(approval))
    assert left is not None
    assert left.outcome == "interrupted"


@pytest.mark.slow
def test_stopping_at_random_moments_undoes_everything(tmp_path: Path, quick: None) -> None:
    with shelves(*"abcdef", chained=False) as running, ThreadPoolExecutor(len(running)) as pool:
        lanes = [pool.submit(_stopped_at_random, tmp_path / shelf.name, shelf) for shelf in running]
        outcomes = [outcome for lane in lanes for outcome in lane.result()]
    assert len(outcomes) == 24
    assert outcomes.count("interrupted") >= 12  # the others had ended before


def _stopped_at_random(directory: Path, shelf: Shelf) -> list[str]:
    chance = random.Random(shelf.name)
    system = system_of([shelf])
    outcomes: list[str] = []
    for number in range(4):
        directory.mkdir(exist_ok=True)
        home = Home.open(directory / str(number))
        fault = chance.choice([Hang(), Crash(restart="murphy")])
        experiment = experiment_on(system, shelf.name, fault, duration_s=0.5, recovery_deadline_s=1)
        stop = threading.Event()
        timers: list[threading.Timer] = []

        def begun(event: Event, stop: threading.Event = stop, timers: list[threading.Timer] = timers) -> None:
            if event.kind is EventKind.RUN_STARTED:
                timers.append(threading.Timer(chance.uniform(0.0, 1.8), stop.set))
                timers[0].start()

        evidence = carried_out(home, system, (experiment,), report=begun, stop=stop)
        timers[0].cancel()
        timers[0].join()
        outcomes.append(evidence.outcome)
        assert evidence.owed == ()
        assert nothing_left(home)
        assert not shelf.stopped()
        until(shelf.answers)
        assert not (home.runs / evidence.run / "scratch").exists()
    return outcomes


_KILL = process.signal.SIGKILL


def _ticks(pid: int) -> int:
    ticks = process.start_ticks(pid)
    assert ticks is not None
    return ticks


def _watchdogs(home: Home) -> list[int]:
    found = []
    for pid in process.pids():
        words = process.command_line(pid)
        if "executor.undo.watchdog" in words and str(home.path) in words:
            found.append(pid)
    return found
