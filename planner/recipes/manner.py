"""Groups of fault types by what a caller gets to see, and how late its answers come."""

from __future__ import annotations

import math
from typing import Any, Final

from executor.model.faults import Fault
from executor.model.vocabulary import FaultType

GONE: Final = frozenset({FaultType.DEAD, FaultType.STOPPED})
"""The process is no longer there."""
CUT_OFF: Final = frozenset({FaultType.REFUSED, FaultType.SESSIONS_LOST})
"""Turned away at once."""
WRONG: Final = frozenset({FaultType.SERVER_ERROR, FaultType.CLIENT_ERROR, FaultType.MALFORMED})
"""Answered at once, with an error or with damage."""
WAITING: Final = frozenset({FaultType.SILENT, FaultType.SLOW, FaultType.SLUGGISH})
"""Answered late, or never."""


def delay_ms(fault: Fault) -> float:
    """How late answers come at least, milliseconds: infinite if never, 0 if nothing is surely delayed."""
    if fault.looks() is FaultType.SILENT:
        return math.inf
    if fault.looks() not in (FaultType.SLOW, FaultType.SLUGGISH):
        return 0.0
    known: Any = getattr(fault, "fault", fault)  # one that somebody else makes
    return max(0.0, float(getattr(known, "delay_ms", 0.0)) - float(getattr(known, "jitter_ms", 0.0)))
