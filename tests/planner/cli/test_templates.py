"""``murphy templates`` and ``murphy patterns`` over a ledger with planted runs, and the plan that a template gives."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from executor.model.faults.network import Latency
from executor.model.system import System
from executor.model.vocabulary import Verdict, Weakness
from executor.safety.limits import Limits
from executor.state.home import Home
from experts.brief import Constraints
from knowledge.findings import findings
from knowledge.ledger import Ledger
from knowledge.topology.annotations import save_system
from planner.files import load_plan
from planner.mined import mined_templates
from planner.regression import regression_plan
from tests.knowledge.runs import MORNING, Case, evidence_of, plan_of, small_system
from tests.planner.cli.commands import murphy, refused, told
from tests.planner.systems import check, edge, service

SLOW = Case(Verdict.BREAKS, Weakness.MISSING_TIMEOUT, "front->back", Latency(delay_ms=3000), availability=0.1)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("MURPHY_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return Home.open()


def record(home: Home, number: int, case: Case = SLOW) -> None:
    system = small_system()
    plan = plan_of([case], system)
    evidence = evidence_of([case], plan, f"run-{number}", MORNING + timedelta(days=number))
    with Ledger.open(home) as ledger:
        ledger.record(plan, evidence, findings(plan, evidence, system), system)


def test_templates_are_listed_and_shown(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, "templates") == []
    assert "there is no template any. A finding becomes one once two runs" in refused("templates", "any")
    record(home, 1)
    record(home, 2)
    (found,) = told(capsys, "templates")
    assert (found["weakness"], found["broke"], found["tries"]) == ("missing_timeout", 2, 2)
    assert found["fault"]["delay_ms"] == 3000
    assert found["interval"][0] < 0.5 < found["interval"][1] == 1
    assert murphy("templates") == 0
    assert found["name"] in capsys.readouterr().out
    assert murphy("templates", found["name"]) == 0
    said = capsys.readouterr().out
    assert "murphy plan --again run-2/e0" in said
    assert "breaks in run-1 at front->back of store" in said
    assert "there is no template none. There are missing-timeout" in " ".join(refused("templates", "none").split())


def test_patterns_say_where_too_little_is_known(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert "there is no run yet" in refused("patterns")
    record(home, 1)
    found = told(capsys, "patterns")
    assert found["systems"] == ["store"]
    assert not found["frequent"]["enough"]
    assert not found["recovery"]["enough"]
    assert murphy("patterns") == 0
    said = capsys.readouterr().out
    assert "Too few runs: from 3 on" in said
    assert "murphy trends store" in said
    assert "no run of a system none is recorded. There are runs of store" in refused("patterns", "--system", "none")


def test_the_regression_plan_tries_a_template_wherever_it_fits(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("planner.regression.unsupported", lambda _system: ())  # as if the system ran
    record(home, 1)
    record(home, 2)
    system = bazaar_with_slow_edges()
    made = regression_plan(mined_templates(home), system, Constraints(), limits=Limits(), proposer="tester")
    struck = {action.target for action in made.plan.actions}
    assert made.plan.goal == "Does what once broke still break?"
    assert {action.fault for action in made.plan.actions} == {Latency(delay_ms=3000)}
    assert all(f"{t.caller}->{t.callee}" in mined_templates(home)[0].fits(system) for t in struck)  # type: ignore[union-attr]
    experiment = made.plan.experiments[0]
    assert "was seen in 2 of 2 tries like this, last in run-2/e0" in experiment.rationale
    assert experiment.hypotheses[0].prediction.by == (("historian", 0.75),)
    again = regression_plan(mined_templates(home), system, Constraints(), limits=Limits(), proposer="tester")
    assert again.plan == made.plan
    few = regression_plan(
        mined_templates(home), system, Constraints(experiments_max=1), limits=Limits(), proposer="tester"
    )
    assert len(few.plan.experiments) == 1
    save_system(system, tmp_path / "system.yaml")
    assert murphy("plan", "--template", "all") == 0
    assert load_plan(tmp_path / "plan.json").experiments == made.plan.experiments
    assert "several of --again, --template, --replay and --from" in refused(
        "plan", "--template", "all", "--again", "a/b"
    )
    assert murphy("templates", mined_templates(home)[0].name) == 0
    assert "It fits web->cart, web->tips of another" in capsys.readouterr().out


def test_a_system_that_does_not_run_or_has_no_such_place_is_a_sentence(home: Home, tmp_path: Path) -> None:
    record(home, 1)
    record(home, 2)
    save_system(bazaar_with_slow_edges(), tmp_path / "system.yaml")
    assert "none of its 4 instances runs; start it" in refused("plan", "--template", "all")
    save_system(System(name="lonely", services=(service("x", technology="go"),)), tmp_path / "system.yaml")
    assert "lonely has no calls of flask (http) to flask (http) over http" in refused("plan", "--template", "all")


def bazaar_with_slow_edges() -> System:
    plain = {"technology": "flask", "criticality": 2}
    front = service("web", **plain, operations=(check("buy", "web", critical=True), check("look", "web")))
    services = (front, service("cart", **plain), service("tips", **plain), service("other", technology="go"))
    edges = (edge("web", "cart"), edge("web", "tips"), edge("web", "other"))
    return System(name="another", services=services, dependencies=edges)
