"""Groups of fault types by what a caller gets to see, and how late its answers come."""

from __future__ import annotations

from typing import Final

from executor.model.vocabulary import FaultType
from knowledge.exposure import delay_ms as delay_ms

GONE: Final = frozenset({FaultType.DEAD, FaultType.STOPPED})
"""The process is no longer there."""
CUT_OFF: Final = frozenset({FaultType.REFUSED, FaultType.SESSIONS_LOST})
"""Turned away at once."""
WRONG: Final = frozenset({FaultType.SERVER_ERROR, FaultType.CLIENT_ERROR, FaultType.MALFORMED})
"""Answered at once, with an error or with damage."""
WAITING: Final = frozenset({FaultType.SILENT, FaultType.SLOW, FaultType.SLUGGISH})
"""Answered late, or never."""
