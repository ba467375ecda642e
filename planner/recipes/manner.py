"""In what manner a fault fails its place: what its callers get to see, whatever the mechanism."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Any

from executor.model.faults import FaultSpec

CERTAIN = 0.9
"""A fault that strikes at least this share of the requests strikes as good as all of them."""


class Manner(StrEnum):
    """What a caller sees."""

    GONE = "gone"
    """The process is no longer there."""
    STUCK = "stuck"
    """Accepted, and never answered."""
    LATE = "late"
    """Answered, later than usual."""
    REFUSED = "refused"
    """Turned away at once."""
    WRONG = "wrong"
    """Answered at once, with an error or with damage."""
    RARE = "rare"
    """Now and then an error; most calls are fine."""
    LOCKED = "locked"
    """One table waits, the rest of the database answers."""
    COLD = "cold"
    """A cache that has forgotten everything."""
    PRESSED = "pressed"
    """Short of processor, memory or connections."""


_BY_KIND: dict[str, Manner] = {
    "service.crash": Manner.GONE,
    "service.stop": Manner.GONE,
    "service.hang": Manner.STUCK,
    "service.timeout": Manner.STUCK,
    "service.error": Manner.WRONG,
    "service.corrupt_response": Manner.WRONG,
    "service.slowdown": Manner.PRESSED,
    "network.latency": Manner.LATE,
    "network.reset": Manner.REFUSED,
    "resource.cpu": Manner.PRESSED,
    "resource.memory": Manner.PRESSED,
    "resource.connections": Manner.PRESSED,
    "data.cache_flush": Manner.COLD,
    "data.lock": Manner.LOCKED,
    "data.connection_failure": Manner.REFUSED,
}
_BY_MODE: dict[str, Manner] = {
    "refuse": Manner.REFUSED,
    "blackhole": Manner.STUCK,
    "error": Manner.WRONG,
    "slow": Manner.LATE,
}


def kind(fault: FaultSpec) -> str:
    """The fault's kind, for instance ``network.latency``."""
    return str(fault.kind)  # type: ignore[attr-defined]


def manner(fault: FaultSpec) -> Manner:
    """How the fault looks to callers. Raises ``KeyError`` for a kind that nobody has classed yet."""
    known: Any = fault
    if getattr(known, "probability", 1.0) < CERTAIN:
        return Manner.RARE
    if known.kind == "service.dependency_failure":
        return _BY_MODE[known.mode]
    if known.kind == "network.partition":
        return Manner.STUCK if known.how == "drop" else Manner.REFUSED
    return _BY_KIND[known.kind]


def delay_ms(fault: FaultSpec) -> float:
    """How late answers come at least, milliseconds; infinite if never, 0 if the fault delays nothing."""
    how = manner(fault)
    if how is Manner.STUCK:
        return math.inf
    if how is not Manner.LATE:
        return 0.0
    known: Any = fault
    return float(known.delay_ms - getattr(known, "jitter_ms", 0.0))
