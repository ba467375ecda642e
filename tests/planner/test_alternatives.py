"""Only faults that can be made at a place, and judged there, are suggested."""

from __future__ import annotations

from executor.model.faults.service import Error
from executor.model.system import System
from executor.model.vocabulary import Weakness
from planner.alternatives import alternatives
from planner.recipes.table import LEFT_OUT
from tests.planner.systems import bazaar


def test_what_can_be_judged_differs_by_weakness_and_place() -> None:
    timeout = {f.kind for f in alternatives(Weakness.MISSING_TIMEOUT, "web->tips", bazaar())}
    assert timeout >= {"network.latency", "service.timeout", "service.hang"}
    assert "service.error" not in timeout
    assert {f.kind for f in alternatives(Weakness.COLD_CACHE_OVERLOAD, "app->cache", bazaar())} == {"data.cache_flush"}


def test_only_http_is_answered_in_the_callees_place() -> None:
    kinds = {f.kind for f in alternatives(Weakness.DETECTION_BLIND_SPOT, "app", bazaar())}
    assert "service.dependency_failure" in kinds
    assert "service.error" not in kinds  # app calls a database and a cache


def test_grpc_is_answered_in_its_own_words() -> None:
    data = bazaar().model_dump()
    for edge in data["dependencies"]:
        edge["protocol"] = "grpc" if edge["protocol"] == "http" else edge["protocol"]
    given = [f for f in alternatives(Weakness.HARD_DEPENDENCY, "web->tips", System(**data)) if isinstance(f, Error)]
    assert {f.grpc_status for f in given} >= {"UNAVAILABLE"}
    assert None not in {f.grpc_status for f in given}


def test_what_is_left_out_has_none() -> None:
    assert all(alternatives(weakness, "web->tips", bazaar()) == () for weakness in LEFT_OUT)
