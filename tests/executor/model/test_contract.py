"""The contract: closed, frozen, one digest for one meaning, published as JSON Schema."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from executor.model.digest import digest
from executor.model.faults import SPECS
from executor.model.plan import Plan
from executor.model.schemas import PUBLISHED, text
from executor.model.system import Dependency, ProcessInstance, Service, System
from tests.executor.model.examples import plans

GOLDEN = Path(__file__).parents[3] / "docs" / "schemas"


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, dict):
        return [leaf for key, inner in value.items() for leaf in _leaves(inner, (*path, key))]
    if isinstance(value, list):
        return [leaf for index, inner in enumerate(value) for leaf in _leaves(inner, (*path, index))]
    return [path]


@given(plans())
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_plan_survives_the_round_trip_with_its_digest(plan: Plan) -> None:
    again = Plan.model_validate_json(plan.model_dump_json())
    assert again == plan
    assert digest(again) == digest(plan)


@given(plans(), st.randoms(use_true_random=False))
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
def test_digest_ignores_the_order_of_keys(plan: Plan, shuffler: random.Random) -> None:
    def shuffled(value: Any) -> Any:
        if isinstance(value, dict):
            items = list(value.items())
            shuffler.shuffle(items)
            return {key: shuffled(inner) for key, inner in items}
        return [shuffled(inner) for inner in value] if isinstance(value, list) else value

    assert digest(shuffled(plan.model_dump(mode="json"))) == digest(plan)


@given(plans(), st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_any_changed_leaf_changes_the_digest(plan: Plan, data: st.DataObject) -> None:
    raw = plan.model_dump(mode="json")
    path = data.draw(st.sampled_from(_leaves(raw)))
    inner = raw
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = "changed" if inner[path[-1]] != "changed" else "again"
    assert digest(raw) != digest(plan)


@given(plans(), st.data())
@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
def test_an_unknown_field_anywhere_is_refused(plan: Plan, data: st.DataObject) -> None:
    raw = plan.model_dump(mode="json")

    def objects(value: Any) -> list[dict[str, Any]]:
        if isinstance(value, dict):
            return [value, *(found for inner in value.values() for found in objects(inner))]
        return [found for inner in value for found in objects(inner)] if isinstance(value, list) else []

    data.draw(st.sampled_from(objects(raw)))["surprise"] = 1
    with pytest.raises(ValidationError, match="surprise"):
        Plan.model_validate(raw)


@pytest.mark.parametrize("model", PUBLISHED, ids=lambda model: model.__name__)
def test_schema_is_the_golden_one(model: type[Any]) -> None:
    golden = (GOLDEN / f"{model.__name__.lower()}.schema.json").read_text(encoding="utf-8")
    assert json.loads(golden) == json.loads(text(model)), "the contract changed: look at it, then run `make schemas`"


UNITS = ("percent", "_mbps", "_ms", "_s", "percent", "probability", "_bytes", "_rps", "_bps", "_kbps", "_mbps", "_hz")


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.named())
def test_every_fault_says_what_it_is(spec: type[Any]) -> None:
    assert spec.differs.endswith(".")
    assert spec.__doc__
    for name, field in spec.model_fields.items():
        if field.annotation is float:
            assert name.endswith(UNITS), f"{name} says no unit"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"services": ()}, "at least 1"),
        ({"services": (Service(name="a"), Service(name="a"))}, "service a is there twice"),
        ({"dependencies": (Dependency(caller="a", callee="ghost"),)}, "no service is named ghost"),
        ({"name": "Not A Name"}, "must be a name"),
    ],
)
def test_a_system_that_does_not_hang_together_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        System(**{"name": "s", "services": (Service(name="a"),), **change})


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("tables", "Order Items", "must be a table, perhaps with its schema"),
        ("tables", "shop.public.goods", "must be a table, perhaps with its schema"),
        ("directories", "data/", "must be a whole path below /"),
        ("directories", "/", "must be a whole path below /"),
        ("queues", "a b", "must be the name of a stream"),
    ],
)
def test_what_no_fault_could_strike_is_no_part_of_a_service(field: str, value: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Service(name="a", **{field: (value,)})


def test_a_process_that_could_not_be_found_again_is_refused() -> None:
    with pytest.raises(ValidationError, match="pid and start_ticks go together"):
        ProcessInstance(id="a", pid=4711)
    with pytest.raises(ValidationError, match="cannot be found"):
        ProcessInstance(id="a")


def test_a_plan_cannot_be_changed_in_place() -> None:
    service = Service(name="a")
    with pytest.raises(ValidationError, match="frozen"):
        service.name = "b"  # type: ignore[misc]
