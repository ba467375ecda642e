from __future__ import annotations

import pytest

from executor.errors import InputError
from executor.model.digest import digest
from executor.model.evidence import Evidence, Observation
from executor.model.plan import Plan, Stage
from executor.model.vocabulary import Environment
from executor.run.observations import COLUMNS
from executor.run.record import write_atomically
from executor.run.rejudge import FILE, Trials, differences
from executor.safety.limits import Limits
from executor.state.home import Home
from tests.executor.measure.records import BACK, STARTED, STEADY, dead, experiment, judged, keep, observations, trial


@pytest.fixture
def evidence(home: Home) -> Evidence:
    """Of a run that was judged once, with its files."""
    asked = experiment(STEADY, BACK)
    seen = observations("front", dead)
    record = trial(seen)
    plan = Plan(
        id="plan-1",
        system_name="s",
        system_digest=digest(Limits()),
        environment=Environment.DEVELOPMENT,
        proposer="tester",
        stages=(Stage(experiments=(asked,)),),
    )
    directory = home.run_dir("run-1")
    write_atomically(directory / "plan.json", plan)
    write_atomically(directory / FILE, Trials(by_experiment={"e1": (record.trial,)}))
    keep(directory, seen)
    return Evidence(
        run="run-1",
        plan_id=plan.id,
        plan_digest=digest(plan),
        limits_digest=digest(Limits()),
        system_digest=plan.system_digest,
        environment=plan.environment,
        approver="operator",
        started=STARTED,
        duration_s=12,
        outcome="completed",
        timeline=(),
        targets=(),
        results=(judged(asked, record).result(asked, 1, ()),),
        observation_count=len(seen),
        versions={},
        cost={},
    )


def test_the_same_records_give_the_same(home: Home, evidence: Evidence) -> None:
    assert differences(home, evidence) == []


def test_what_is_said_beyond_it_is_seen(home: Home, evidence: Evidence) -> None:
    (result,) = evidence.results
    assert result.validations
    said, *rest = result.validations
    less = Evidence(**{**dict(evidence), "results": (result.model_copy(update={"validations": tuple(rest)}),)})
    assert differences(home, less) == [f"e1: {said.validator} of {said.of} is new"]


def test_a_changed_record_is_seen(home: Home, evidence: Evidence) -> None:
    better = [Observation(**{**o.model_dump(), "ok": True, "error": ""}) for o in observations("front", dead)]
    keep(home.runs / "run-1", better)
    changed = differences(home, evidence)
    assert changed[0].startswith("h1: breaks")
    assert "now holds" in changed[0]
    assert any("availability of front was 0, and is now 1" in line for line in changed)


@pytest.mark.parametrize("name", ["plan.json", FILE, COLUMNS])
def test_what_is_missing_or_damaged_is_named(home: Home, evidence: Evidence, name: str) -> None:
    path = home.runs / "run-1" / name
    path.write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match=r"cannot be read: [^\n]*$"):
        differences(home, evidence)
    path.unlink()
    with pytest.raises(InputError, match=name):
        differences(home, evidence)
