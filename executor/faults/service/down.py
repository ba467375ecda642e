"""What crash and stop share: an instance is down until one that fits runs again."""

from __future__ import annotations

from executor.drivers import process, restart
from executor.faults.behaviour import Record


class Down:
    """The half of a behaviour that watches a process stay away, and sees it back."""

    def active(self, record: Record) -> bool:
        """Whether no instance that fits is running."""
        return not restart.back(record)

    def struck(self, record: Record) -> bool:
        """Whether the process of then is gone."""
        pid, ticks = record["members"][0]
        return not process.alive(pid, ticks)

    def revert(self, record: Record) -> None:
        """Let the supervisor start it, or start it."""
        restart.ensure(record)
