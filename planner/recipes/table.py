"""From a weakness to its recipe; and what cannot be judged yet, with why not."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from executor.model.vocabulary import Weakness
from planner.recipes import calls, capacity, dependencies, detection, recovery, redundancy, stores, waiting
from planner.recipes.case import Case, Judging, Recipe, Unfit

RECIPES: Mapping[Weakness, Recipe] = MappingProxyType(
    {
        Weakness.SINGLE_POINT_OF_FAILURE: redundancy.single_point_of_failure,
        Weakness.HARD_DEPENDENCY: dependencies.hard_dependency,
        Weakness.MISSING_TIMEOUT: waiting.missing_timeout,
        Weakness.TIMEOUT_INVERSION: waiting.timeout_inversion,
        Weakness.MISSING_RETRY: calls.missing_retry,
        Weakness.RETRY_STORM: calls.retry_storm,
        Weakness.MISSING_CIRCUIT_BREAKER: calls.missing_circuit_breaker,
        Weakness.MISSING_BULKHEAD: waiting.missing_bulkhead,
        Weakness.POOL_EXHAUSTION: stores.pool_exhaustion,
        Weakness.COLD_CACHE_OVERLOAD: stores.cold_cache_overload,
        Weakness.INCONSISTENT_AFTER_CRASH: stores.inconsistent_after_crash,
        Weakness.SLOW_OR_MISSING_RECOVERY: recovery.slow_or_missing_recovery,
        Weakness.DOES_NOT_RECONNECT: recovery.does_not_reconnect,
        Weakness.DETECTION_BLIND_SPOT: detection.detection_blind_spot,
        Weakness.LOAD_BALANCER_KEEPS_DEAD_MEMBER: redundancy.load_balancer_keeps_dead_member,
        Weakness.NO_GRACEFUL_DEGRADATION: dependencies.no_graceful_degradation,
        Weakness.CAPACITY_CLIFF: capacity.capacity_cliff,
        Weakness.RESOURCE_LEAK_UNDER_FAILURE: calls.resource_leak_under_failure,
        Weakness.STALE_NAME_RESOLUTION: recovery.stale_name_resolution,
    }
)

LEFT_OUT: Mapping[Weakness, str] = MappingProxyType(
    {
        Weakness.UNUSABLE_BACKUP: "what a restore drill finds is on the time line, and no criterion judges it yet",
        Weakness.STALE_CREDENTIALS: "it takes handing the application its new credentials, which no fault does",
    }
)


def judging(case: Case) -> Judging | Unfit:
    """How to judge the case, or why that cannot be done."""
    recipe = RECIPES.get(case.weakness)
    return Unfit(LEFT_OUT[case.weakness]) if recipe is None else recipe(case)
