"""A fault in short, as beliefs and experts keep it."""

from __future__ import annotations

from executor.model.faults import Fault


def fault_text(fault: Fault) -> str:
    """The fault in short, with the parameters that differ from their defaults: ``network.latency delay_ms=3000``."""
    told = fault.model_dump(mode="json", exclude_defaults=True)
    parts = [f"{key}={value:g}" if isinstance(value, float) else f"{key}={value}" for key, value in told.items()]
    return " ".join((fault.kind, *parts))[:400]
