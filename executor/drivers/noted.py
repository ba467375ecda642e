"""What is to be undone on a target, noted in what manages it: for a sweep that has neither journal nor notes of ours.

Standard library only.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from executor.clock import boot_id, own_ticks
from executor.kernel import process


@dataclass(frozen=True)
class Noted:
    """One such note that was found."""

    text: str
    """What is to be undone, and where."""
    holder: str
    """Who made it, as ``holder`` says."""
    undo: Callable[[], None]
    """Undo it, and forget the note. Idempotent. Raises ``UnavailableError``."""

    @property
    def held_by(self) -> int | None:
        """The process that made it, if that lives."""
        try:
            pid, ticks, boot = self.holder.split(".")
            alive = boot == boot_id() and process.alive(int(pid), int(ticks))
        except ValueError:  # not as we write it
            return None
        return int(pid) if alive else None


def holder() -> str:
    """Who makes notes now: the process, its start time, and the boot."""
    return f"{os.getpid()}.{own_ticks()}.{boot_id()}"
