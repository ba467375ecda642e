"""``murphy why``: what is believed, and everything that made it so."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from executor.errors import InputError
from executor.model.vocabulary import Verdict, Weakness
from executor.state.home import Home
from knowledge.ledger import Ledger
from knowledge.topology.annotations import save_system
from planner.cli.main import app
from tests.knowledge.runs import Case, evidence_of, plan_of, small_system

CASES = (Case(Verdict.BREAKS), Case(Verdict.HOLDS, place="front->side"))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """One run of the store, and one of another system that looks the same."""
    monkeypatch.setenv("MURPHY_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    found = Home.open()
    save_system(small_system(), tmp_path / "system.yaml")
    with Ledger.open(found) as ledger:
        for number, name in enumerate(("store", "other")):
            plan = plan_of(CASES, small_system(name))
            evidence = evidence_of(CASES, plan, f"run-{number}", datetime.now(UTC))
            ledger.record(plan, evidence, (), small_system(name))
    return found


def said(*words: str) -> str:
    done = CliRunner().invoke(app, ["why", *words])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.output


def test_a_weakness_at_a_place_is_told_with_what_each_result_moved():
    told = said("hard dependency@front->back")
    assert told.startswith("hard dependency at front->back: P(present) ")
    assert "base rate 0.2" in told
    assert "neighbour: other front->back broke under service.error (similarity" in told
    assert "run-0: broke under service.error" in told
    assert "bits, " in told
    assert "it may be no graceful degradation at front->back" in told, "which a wrong answer would show as well"
    assert told == said("front->back", "hard_dependency")


def test_a_service_is_told_with_all_that_can_be_wrong_with_it():
    told = said("back")
    for each in ("slow or missing recovery at back", "capacity cliff at back", "detection blind spot at back"):
        assert each in told


def test_a_hypothesis_is_found_by_its_id():
    told = said("missing-timeout-front-back-5e6f7a8b")
    assert told.startswith("missing timeout at front->back")
    assert told.count("P(present)") == 1


def test_for_programs_it_is_json_that_adds_up():
    (one,) = json.loads(said("hard dependency@front->back", "--json"))
    assert one["weakness"] == Weakness.HARD_DEPENDENCY
    assert one["moves"][-1]["after"] == pytest.approx(one["probability"], abs=1e-6)
    assert one["moves"][0]["bits"] > 0
    (near,) = [each for each in one["prior"]["neighbours"] if each["place"] == "front->back"]
    assert near["after"] > near["before"]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("nowhere",), "nothing is believed of any weakness at nowhere"),
        (("front->back", "bad luck"), "'bad luck' is no weakness"),
        (("cold cache overload@front->back",), "nothing is believed of cold cache overload at front->back"),
    ],
)
def test_what_is_not_there_is_said(words, why):
    with pytest.raises(InputError, match=why):
        said(*words)
