"""Plans as files: what is written is read back, and what is wrong is said in one sentence with its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from executor.errors import InputError
from executor.model.plan import Plan
from executor.model.system import Service, System
from planner import files
from tests.executor.model.examples import plans


@given(plans())
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_plan_is_read_as_it_was_written(tmp_path: Path, plan: Plan) -> None:
    files.save(plan, tmp_path / "plan.json")
    assert files.load_plan(tmp_path / "plan.json") == plan


def _broken(change: Any, tmp_path: Path) -> str:
    plan: dict[str, Any] = {
        "id": "p",
        "system_name": "s",
        "system_digest": "sha256:" + "0" * 64,
        "environment": "development",
        "proposer": "me",
        "stages": [
            {
                "experiments": [
                    {
                        "id": "e",
                        "title": "t",
                        "hypotheses": [
                            {
                                "id": "h",
                                "weakness": "hard_dependency",
                                "place": "a->b",
                                "statement": "it holds",
                                "criteria": [{"kind": "steady_state", "checks": ["c"]}],
                                "prediction": {"probability_breaks": 0.5},
                            }
                        ],
                        "checks": [{"id": "c", "service": "a", "probe": {"kind": "tcp", "port": 80}}],
                        "actions": [
                            {
                                "id": "x",
                                "fault": {"kind": "network.latency", "delay_ms": 10},
                                "target": {"kind": "edge", "caller": "a", "callee": "b"},
                                "duration_s": 1,
                            }
                        ],
                        "abort_conditions": "none",
                    }
                ]
            }
        ],
    }
    change(plan)
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(plan), encoding="utf-8")
    with pytest.raises(InputError) as raised:
        files.load_plan(path)
    return str(raised.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda p: p.update(colour="red"), "colour: Extra inputs are not permitted"),
        (lambda p: _fault(p).update(kind="network.magic"), "murphy faults lists the kinds"),
        (lambda p: _fault(p).update(delay="10ms"), "delay: Extra inputs are not permitted"),
        (lambda p: _fault(p).update(delay_ms=-5), "greater than or equal to 0"),
        (lambda p: p["stages"][0]["experiments"][0].pop("abort_conditions"), "abort_conditions: Field required"),
        (lambda p: p.pop("system_digest"), "system_digest: Field required"),
    ],
    ids=["unknown field", "unknown fault", "unknown unit", "out of bounds", "no stop condition", "no digest"],
)
def test_a_wrong_plan_is_refused_with_its_place(change: Any, said: str, tmp_path: Path) -> None:
    message = _broken(change, tmp_path)
    assert message.startswith(str(tmp_path / "plan.json"))
    assert said in message


def _fault(plan: dict[str, Any]) -> dict[str, Any]:
    fault: dict[str, Any] = plan["stages"][0]["experiments"][0]["actions"][0]["fault"]
    return fault


def test_a_file_that_cannot_be_written_is_said_plainly(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    for path in (tmp_path / "nowhere" / "plan.json", tmp_path / "file" / "plan.json"):
        with pytest.raises(InputError, match="cannot be written"):
            files.save(System(name="s", services=(Service(name="a"),)), path)
