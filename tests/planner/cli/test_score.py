"""``murphy score`` and ``murphy trends`` over a ledger with planted runs."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from executor.model.vocabulary import Verdict
from executor.state.home import Home
from knowledge.findings import findings
from knowledge.ledger import Ledger
from tests.knowledge.runs import MORNING, Case, evidence_of, plan_of, small_system
from tests.planner.cli.commands import murphy, refused, told


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("MURPHY_HOME", str(tmp_path / "home"))
    return Home.open()


def record(home: Home, number: int, availability: float) -> str:
    """A run of the small store, in which users kept so much of ``home``."""
    system = small_system()
    cases = (Case(Verdict.BREAKS, availability=availability), Case(Verdict.HOLDS, place="front->side"))
    plan, run = plan_of(cases, system), f"run-{number:02}"
    evidence = evidence_of(cases, plan, run, MORNING + timedelta(days=number))
    with Ledger.open(home) as ledger:
        ledger.record(plan, evidence, findings(plan, evidence, system), system)
    for name, value in (("system", system), ("evidence", evidence)):
        (home.run_dir(run) / f"{name}.json").write_text(value.model_dump_json(), encoding="utf-8")
    return run


def test_the_score_of_a_run(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    record(home, 1, 0.475)
    found = told(capsys, "score")
    assert found["system"]["of"] == "store"
    assert 0.5 < found["system"]["score"] < 1
    assert found["system"]["dimensions"]["availability"]["n"] == 6
    assert "recovery" in found["system"]["untested"]
    assert found["system"]["coverage"]["tested"] == 2
    assert found["system"]["coverage"]["applicable"] > 10
    assert found["litmus_percent"] == 50
    assert found["krkn_percent"] == 70  # home is critical: 3 of 5 points are lost in one of two experiments
    assert found["scoring"]["weights"]["availability"] == 3
    assert murphy("score", "run-01") == 0
    said = capsys.readouterr().out
    assert "Not tested, and left out: latency, detection, recovery" in said
    assert "Weights: availability 3" in said


def test_weights_of_ones_own(home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(home, 1, 0.475)
    own = tmp_path / "scoring.toml"
    own.write_text("floor = 0.2\ncriticality = [1, 1, 1, 1]\n[weights]\navailability = 5\n", encoding="utf-8")
    found = told(capsys, "score", "--scoring", str(own))
    assert found["scoring"]["weights"]["availability"] == 5
    assert found["system"]["score"] != told(capsys, "score")["system"]["score"]
    own.write_text("[weights]\navailabilty = 5\n", encoding="utf-8")
    assert "weights.availabilty" in refused("score", "--scoring", str(own))


def test_trends_show_a_planted_change_and_none_without(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(9):
        record(home, number, 0.3 + 0.01 * (number * 5 % 3))
    found = told(capsys, "trends")
    assert (len(found["runs"]), found["changes"]) == (9, [])
    for number in range(9, 18):
        record(home, number, 0.9 + 0.01 * (number * 5 % 3))
    found = told(capsys, "trends", "store")
    assert {(c["figure"], c["run"], c["better"]) for c in found["changes"]} == {
        ("score", "run-09", True),
        ("availability", "run-09", True),
    }
    assert murphy("trends") == 0
    assert "score went from 0." in capsys.readouterr().out


def test_trends_say_how_good_the_predictions_were(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    system = small_system()
    said = ((Verdict.BREAKS, 0.9), (Verdict.HOLDS, 0.1), (Verdict.HOLDS, 0.85))
    with Ledger.open(home) as ledger:
        for number, (verdict, probability) in enumerate(said):
            plan = plan_of((Case(verdict, by=(("twin", probability),)),), system, f"plan-{number}")
            ledger.record(plan, evidence_of((Case(verdict),), plan, f"run-{number}"), (), system)
    predictions = told(capsys, "trends")["predictions"]
    assert predictions["plans"]["brier"] == 0.25
    assert predictions["twin"]["n"] == 3
    assert predictions["twin"]["brier"] == pytest.approx((0.01 + 0.01 + 0.85**2) / 3)
    assert [(b["said"], b["came_true"], b["n"]) for b in predictions["twin"]["bins"]] == [
        (pytest.approx(0.1), 0.0, 1),
        (pytest.approx(0.85), 0.0, 1),
        (pytest.approx(0.9), 1.0, 1),
    ]
    assert murphy("trends") == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "What was foretold of its runs, and what came true" in shown
    assert "10% → 0% of 1, 85% → 0% of 1 (off), 90% → 100% of 1; 1 bin off by more than chance" in shown


def test_what_is_not_there_is_named(home: Home) -> None:
    assert "there is no run yet" in refused("score")
    assert "there is no run yet" in refused("trends")
    record(home, 1, 1)
    assert "no run of a system named shop" in refused("trends", "shop")
    assert "run-99" in refused("score", "run-99")


def test_an_untested_system_has_no_score(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    system, cases = small_system(), (Case(Verdict.ABORTED, aborted="the guard said so"),)
    plan = plan_of(cases, system)
    with Ledger.open(home) as ledger:
        ledger.record(plan, evidence_of(cases, plan), (), system)
    assert told(capsys, "score")["system"] is None
    assert murphy("score") == 0
    assert "A system that was not tested has none." in capsys.readouterr().out
    assert murphy("trends") == 0
    assert "No change is certain in 0 comparable runs" in capsys.readouterr().out
