"""What is said of recoveries, from recorded trials."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from executor.measure.samples import Samples
from executor.model.evidence import Evidence
from executor.model.plan import Experiment
from executor.model.probe import Slo
from executor.model.vocabulary import Verdict
from planner.cli import results_view
from planner.recovery import Recovery, recoveries, slowest
from planner.report.render import markdown
from planner.report.run import Run
from tests.executor.measure.records import (
    BACK,
    INJECTED_S,
    Answer,
    dead,
    experiment,
    judged,
    observations,
    trial,
    well,
)
from tests.knowledge.runs import Case, evidence_of, plan_of, small_system

ASKED = experiment(BACK, slo=Slo(latency_ms_max=200))


def evidence(*trials: Samples, asked: Experiment = ASKED) -> Evidence:
    cases = (Case(Verdict.HOLDS),)
    made = evidence_of(cases, plan_of(cases, small_system()))
    result = judged(asked, *trials).result(asked, len(trials), ())
    return Evidence.model_validate({**made.model_dump(), "results": (result.model_dump(),)})


def outage(length_s: float, number: int = 1) -> Samples:
    def front(at_s: float) -> Answer:
        return not INJECTED_S <= at_s < INJECTED_S + length_s, 10.0

    def health(at_s: float) -> Answer:
        return not INJECTED_S + 0.4 <= at_s < INJECTED_S + length_s, 10.0

    signal = observations("health", health, rate_hz=5, trial=number)
    return trial(observations("front", front, trial=number), signal, number=number)


def one(*trials: Samples) -> Recovery:
    (row,) = recoveries(evidence(*trials))
    return row


def test_a_recovery_is_told_with_its_longest_part() -> None:
    row = one(outage(3))
    assert (row.experiment, row.check) == ("e1", "front")
    assert row.noticed.endswith("(health)")
    assert row.back.startswith("3 s (")
    assert row.back.endswith("from the injection, by itself")
    assert row.bottleneck.startswith("failover, 8")
    assert row.kept == "70 %"
    assert row.trials == ""


def test_what_came_back_with_the_revert() -> None:
    row = one(trial(observations("front", dead), observations("health", well, rate_hz=5)))
    assert row.back.endswith("from the revert")
    assert row.noticed == "in 0 of 1 trial"
    assert row.bottleneck == ""


def test_several_trials_are_compared() -> None:
    told = one(*[outage(1 + 0.3 * n, n + 1) for n in range(7)]).trials
    assert told.startswith("worst of 7 from the injection: 2.8 s, spread 34 %, 300 ms longer each time (p = 0.0004)")
    told = one(*[outage(4.5 if n == 3 else 1 + 0.1 * (n % 2), n + 1) for n in range(7)]).trials
    assert told.endswith("trial 4 stands apart with 4.5 s")


def test_what_did_not_come_back_is_said() -> None:
    never = trial(observations("front", lambda at_s: (at_s < INJECTED_S, 10.0), trial=2), number=2)
    assert one(outage(2), never).back == "not seen in 1 of 2 trials"


def test_the_terminal_has_the_slowest_of_each_experiment(capsys: pytest.CaptureFixture[str]) -> None:
    asked = experiment(BACK, slo=Slo(latency_ms_max=200), also=["side", "never"])

    def until(length_s: float) -> Callable[[float], Answer]:
        return lambda at_s: (not INJECTED_S <= at_s < INJECTED_S + length_s, 10.0)

    lengths = {"front": 2.0, "side": 3.0}
    seen = trial(*[observations(name, until(length_s)) for name, length_s in lengths.items()])
    ((row, others),) = slowest(evidence(seen, asked=asked))
    assert (row.check, others) == ("side", 1)
    lengths["never"] = 99
    seen = trial(*[observations(name, until(length_s)) for name, length_s in lengths.items()])
    ((row, others),) = slowest(evidence(seen, asked=asked))
    assert (row.check, others) == ("never", 2)
    results_view.recovery(evidence(seen, asked=asked))
    assert "of 3 hurt" in capsys.readouterr().out


def test_where_nothing_was_hurt_nothing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    unhurt = evidence(trial(observations("front", well)))
    assert recoveries(unhurt) == ()
    results_view.recovery(unhurt)
    assert capsys.readouterr().out == ""


def test_the_terminal_and_the_report_show_it(capsys: pytest.CaptureFixture[str]) -> None:
    found = evidence(outage(3))
    results_view.recovery(found)
    said = capsys.readouterr().out
    assert "failover" in said
    assert "over the trials" not in said  # one trial has nothing to be compared with
    page = markdown(Run(plan_of((Case(Verdict.HOLDS),), small_system()), found, (), {}))
    assert "| front | " in page
