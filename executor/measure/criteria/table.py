"""From a criterion's kind to its judge."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from executor.measure.criteria import (
    beyond_capacity,
    bounded_latency,
    calls_within,
    data_kept,
    detected_within,
    recovers_within,
    steady_state,
)
from executor.measure.criteria.common import Judge

JUDGES: Mapping[str, Judge] = MappingProxyType(
    {
        "steady_state": steady_state.judge,
        "bounded_latency": bounded_latency.judge,
        "calls_within": calls_within.judge,
        "recovers_within": recovers_within.judge,
        "detected_within": detected_within.judge,
        "data_kept": data_kept.judge,
        "beyond_capacity": beyond_capacity.judge,
    }
)
