"""Whether a fault reaches a place, and whether what is judged there speaks of a weakness."""

from __future__ import annotations

from collections.abc import Mapping

from executor.model.vocabulary import FaultType, Phase, Weakness
from knowledge.exposure import Exposure, Judged, Look, Strike
from knowledge.sensitivity import SENSITIVITY

HOP = 0.85
"""What one service between the place and who looks at it lets through: it may have an answer of its own."""
CRITERIA: Mapping[str, frozenset[Weakness]] = {
    "steady_state": frozenset(
        {
            Weakness.SINGLE_POINT_OF_FAILURE,
            Weakness.HARD_DEPENDENCY,
            Weakness.NO_GRACEFUL_DEGRADATION,
            Weakness.MISSING_RETRY,
            Weakness.MISSING_TIMEOUT,
            Weakness.TIMEOUT_INVERSION,
            Weakness.MISSING_BULKHEAD,
            Weakness.POOL_EXHAUSTION,
            Weakness.LOAD_BALANCER_KEEPS_DEAD_MEMBER,
            Weakness.COLD_CACHE_OVERLOAD,
            Weakness.CAPACITY_CLIFF,
            Weakness.STALE_CREDENTIALS,
        }
    ),
    "bounded_latency": frozenset({Weakness.MISSING_TIMEOUT, Weakness.RETRY_STORM}),
    "calls_within": frozenset({Weakness.RETRY_STORM, Weakness.MISSING_CIRCUIT_BREAKER}),
    "recovers_within": frozenset(
        {
            Weakness.SLOW_OR_MISSING_RECOVERY,
            Weakness.DOES_NOT_RECONNECT,
            Weakness.STALE_NAME_RESOLUTION,
            Weakness.RETRY_STORM,
            Weakness.COLD_CACHE_OVERLOAD,
            Weakness.RESOURCE_LEAK_UNDER_FAILURE,
        }
    ),
    "detected_within": frozenset({Weakness.DETECTION_BLIND_SPOT}),
    "data_kept": frozenset({Weakness.INCONSISTENT_AFTER_CRASH}),
    "beyond_capacity": frozenset({Weakness.CAPACITY_CLIFF}),
}
"""Criterion → weaknesses that violate it."""

ONLY_UNDER: Mapping[Weakness, frozenset[FaultType]] = {
    # Answers come at once, and wrong: elsewhere degrading badly is no other thing than needing an answer.
    Weakness.NO_GRACEFUL_DEGRADATION: frozenset({FaultType.SERVER_ERROR, FaultType.CLIENT_ERROR, FaultType.MALFORMED}),
    # What fails every time fails again when it is tried again.
    Weakness.MISSING_RETRY: frozenset({FaultType.INTERMITTENT, FaultType.SESSIONS_LOST}),
}
"""Weakness → types of fault that it explains, where a plan did not name it."""
FILLS = frozenset({Weakness.MISSING_BULKHEAD, Weakness.POOL_EXHAUSTION})
"""Shown only while as many wait as there are workers or connections."""
THROUGH_CALLS = frozenset(
    {Weakness.DETECTION_BLIND_SPOT, Weakness.RESOURCE_LEAK_UNDER_FAILURE, Weakness.LOAD_BALANCER_KEEPS_DEAD_MEMBER}
)
"""At a service, and shown also by what fails the calls that it makes."""
SHARED = FILLS | {Weakness.RESOURCE_LEAK_UNDER_FAILURE}
"""At an edge, and shown by what else its caller does."""
BEYOND = frozenset({Weakness.TIMEOUT_INVERSION, Weakness.RETRY_STORM})
"""At an edge, and shown by what is wrong one call further on."""


def speaks(weakness: Weakness, strike: Strike, judged: Judged) -> bool:
    """Whether a criterion that was not made for the weakness would still be violated by it, under that fault."""
    kind = FaultType(strike.type)
    if weakness in ONLY_UNDER and kind not in ONLY_UNDER[weakness]:
        return False
    if weakness is Weakness.MISSING_CIRCUIT_BREAKER and (judged.factor_max or 0) >= 1:
        return False  # who goes on calling as before keeps within a bound that is meant for retries
    return weakness in CRITERIA.get(_kind(judged), frozenset()) and kind in SENSITIVITY[weakness]


def _kind(judged: Judged) -> str:
    """Steady state after the fault is a word on recovery."""
    return "recovers_within" if judged.kind == "steady_state" and judged.phase == Phase.RECOVERY else judged.kind


def reached(weakness: Weakness, place: str, strike: Strike) -> bool:
    """Whether the fault is one that the place would meet."""
    caller, arrow, callee = place.partition("->")
    if not arrow:
        through = weakness in THROUGH_CALLS and any(edge.startswith(f"{place}->") for edge in strike.edges)
        return strike.service == place or through
    if FaultType(strike.type) is FaultType.UNRESOLVED:
        return strike.service == caller
    if weakness in BEYOND and any(edge.startswith(f"{callee}->") for edge in strike.edges):
        return True
    return weakness is not Weakness.TIMEOUT_INVERSION and (place in strike.edges or strike.service == callee)


def where(
    weakness: Weakness, place: str, judged: Judged, looks: tuple[Look, ...], exposure: Exposure
) -> tuple[float, str]:
    """Whether what is judged passes the place, and through how many others it is seen."""
    if judged.of:
        if judged.of == place:
            return 1.0, ""
        nearer = judged.of.partition("->")[0] == place.partition("->")[2]
        if weakness in BEYOND and nearer and any({place, judged.of} <= {*look.edges} for look in exposure.looks):
            return HOP, "it is counted one call further on"
        return 0.0, f"it is judged at {judged.of}"
    if not judged.checks:
        return 0.0, "no check is judged"
    if weakness in SHARED and "->" in place:
        caller = place.partition("->")[0]
        spared = [look for look in looks if look.service == caller and _spared(weakness, place, look)]
        pressed = any(place in look.edges for look in exposure.looks)
        blind = "no check that is judged shares the caller and should be spared"
        return (1.0, "") if spared and pressed else (0.0, blind)
    end = place.partition("->")[0] if "->" in place else place
    hops = [distance(look, end) or 0 for look in looks if passes(look, place)]  # 0, too: it is asked by another way
    if not hops:
        return 0.0, "no check that is judged passes the place"
    return HOP ** min(hops), f"it is seen through {min(hops)} service{'s' if min(hops) > 1 else ''} between"


def _spared(weakness: Weakness, place: str, look: Look) -> bool:
    """A wall keeps the callee's users apart from others; a pool, or what leaks, is lost to its users as well."""
    return weakness is not Weakness.MISSING_BULKHEAD or place not in look.edges


def passes(look: Look, place: str) -> bool:
    """Whether asking the check uses the edge, or the service."""
    if "->" in place:
        return place in look.edges
    return place == look.service or any(place in edge.split("->") for edge in look.edges)


def distance(look: Look, service: str) -> int | None:
    """Calls between who is asked and a service, along the edges that the check uses; ``None``: no way."""
    ahead, reached = {look.service: 0}, [look.service]
    for name in reached:
        for edge in look.edges:
            caller, _, callee = edge.partition("->")
            if caller == name and callee not in ahead:
                ahead[callee] = ahead[name] + 1
                reached.append(callee)
    return ahead.get(service)
