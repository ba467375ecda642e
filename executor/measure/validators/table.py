"""All validators by name, in the order in which they are shown."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from executor.measure.validators import failure_detection
from executor.measure.validators.common import Validator

VALIDATORS: Mapping[str, Validator] = MappingProxyType(
    {
        "failure_detection": failure_detection.validate,
    }
)
