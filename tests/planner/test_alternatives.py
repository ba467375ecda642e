"""Only faults that can be made at a place, and judged there, are suggested."""

from __future__ import annotations

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


def test_what_is_left_out_has_none() -> None:
    assert all(alternatives(weakness, "web->tips", bazaar()) == () for weakness in LEFT_OUT)
