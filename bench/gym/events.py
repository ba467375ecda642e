"""A clock that jumps from one due thing to the next."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any


class Events:
    """What is due, by time and then in the order in which it was put down. Times in seconds."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Callable[..., Any], tuple[Any, ...]]] = []
        self._count = 0

    def at(self, when: float, do: Callable[..., Any], *args: Any) -> None:
        """Have something done at a moment that is not past."""
        self._count += 1
        heappush(self._due, (when, self._count, do, args))

    def run(self, until: float) -> None:
        """Do all that is due before a moment; the clock then stands there."""
        due = self._due
        while due and due[0][0] < until:
            self.now, _, do, args = heappop(due)
            do(*args)
        self.now = until
