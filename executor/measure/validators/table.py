"""All validators by name, in the order in which they are shown."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from executor.measure.validators import (
    bulkhead,
    circuit_breaker,
    containment,
    data_consistency,
    failover,
    failure_detection,
    full_recovery,
    graceful_degradation,
    health_truthfulness,
    metastability,
    retry_discipline,
    service_discovery,
    unaided_recovery,
)
from executor.measure.validators.common import Validator

VALIDATORS: Mapping[str, Validator] = MappingProxyType(
    {
        "failure_detection": failure_detection.validate,
        "unaided_recovery": unaided_recovery.validate,
        "full_recovery": full_recovery.validate,
        "containment": containment.validate,
        "graceful_degradation": graceful_degradation.validate,
        "circuit_breaker": circuit_breaker.validate,
        "bulkhead": bulkhead.validate,
        "retry_discipline": retry_discipline.validate,
        "metastability": metastability.validate,
        "failover": failover.validate,
        "service_discovery": service_discovery.validate,
        "health_truthfulness": health_truthfulness.validate,
        "data_consistency": data_consistency.validate,
    }
)
