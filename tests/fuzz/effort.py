"""How many examples a test tries: few, and the same each time, in ``make test``; many, and others, in ``make fuzz``."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import HealthCheck, Verbosity, settings

FACTOR = int(os.environ.get("FUZZ", "1"))
"""``FUZZ=20``: twenty times as many."""


def effort(examples: int, *accepted: HealthCheck, **more: Any) -> settings:
    """Settings for ``examples`` examples, times the factor. What was found is printed with what repeats it."""
    return settings(
        max_examples=examples * FACTOR,
        derandomize=FACTOR == 1,
        deadline=None,
        print_blob=True,
        verbosity=Verbosity.normal,
        suppress_health_check=[
            HealthCheck.too_slow,
            HealthCheck.data_too_large,
            HealthCheck.large_base_example,
            *accepted,
        ],
        **more,
    )
