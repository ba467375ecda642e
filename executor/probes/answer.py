"""What came back from one asking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Outcome(NamedTuple):
    """What one asking brought, whoever asked; a probe of another package gives the first three."""

    ok: bool
    status: int | None
    error: str
    by: str = ""
    body: bytes = b""


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
    by: str = ""
    """Who gave it, where the probe's ``answered_by`` tells."""
    body: bytes = b""
    """What was answered, as far as it was kept."""
