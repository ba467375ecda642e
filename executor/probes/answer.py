"""What came back from one asking."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """One answer of one probe."""

    ok: bool
    latency_ms: float
    """From the asking to the end of the answer."""
    status: int | None = None
    """HTTP status, if there was one."""
    error: str = ""
    """Why it is not good, in a few words; empty if it is."""
