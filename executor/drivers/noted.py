"""What is to be undone on a target, noted in what manages it: for a sweep that has neither journal nor notes of ours.

Standard library only.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from executor.clock import here, own_ticks
from executor.kernel import holding
from executor.kernel.holding import Hold


@dataclass(frozen=True)
class Noted:
    """One such note that was found."""

    text: str
    """What is to be undone, and where."""
    holder: str
    """Who made it, as ``holder`` says."""
    undo: Callable[[], None]
    """Undo it, and forget the note. Idempotent. Raises ``UnavailableError``."""

    def hold(self) -> tuple[Hold, int]:
        """Who holds it, and the process that made it."""
        try:
            pid, ticks, place = self.holder.split(".")
            return holding.hold(int(pid), int(ticks), place=place), int(pid)
        except ValueError:  # not as we write it
            return "nobody", 0


def holder() -> str:
    """Who makes notes now: the process, its start time, and where that is its name."""
    return f"{os.getpid()}.{own_ticks()}.{here()}"
