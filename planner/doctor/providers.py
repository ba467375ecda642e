"""Which language models could answer for the experts."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from planner.doctor.diagnosis import Diagnosis


def _model(name: str, key: str, address: str) -> Diagnosis:
    if os.environ.get(key):
        where = os.environ.get(address, "the provider's own address")
        return Diagnosis(f"{name} experts", True, f"{key} is set; asks {where}")
    return Diagnosis(f"{name} experts", False, f"{key} is not set; the offline experts answer", f"Set {key} to use it.")


LOOKS: Final[tuple[Callable[[], Diagnosis], ...]] = (
    lambda: _model("OpenAI", "OPENAI_API_KEY", "OPENAI_BASE_URL"),
    lambda: _model("Anthropic", "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"),
)
