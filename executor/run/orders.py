"""Heeds a halt and a stop in a thread of its own, and undoes everything at once, whatever else stands still."""

from __future__ import annotations

import os
import threading
from contextlib import suppress

from executor.run.course import Course, Ending
from executor.safety.halt import halted_since

HEED_S = 0.01
"""How often the flag and the stop event are looked at; that a guard has ended the run is seen without a look."""


_NICE = -10
"""Undoing goes before what else a busy processor has to do."""


class Orders:
    """One run's. It asks neither the event loop nor, before the targets are free, the journal."""

    def __init__(self, course: Course, stop: threading.Event | None) -> None:
        self._course, self._stop = course, stop
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._heed, name="murphy-orders", daemon=True)

    def start(self) -> None:
        """Begin. Raises ``RuntimeError`` if the system has no thread for it; then nothing may be injected."""
        self._thread.start()

    def leave(self) -> None:
        """End it, once nothing is left to undo. One that hangs in a revert is not waited for. Idempotent."""
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join(10 * HEED_S)

    def _heed(self) -> None:
        with suppress(OSError):  # only root may; those that it lets undo inherit it
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        course = self._course
        while not self._over.is_set():
            if not course.closed.is_set() and (order := self._order()) is not None:
                course.order = order
                course.closed.set()
            if course.closed.wait(HEED_S):
                held = [each.injection for each in list(course.held.values())]
                course.undoing.undo([injection for injection in held if not course.undoing.done(injection)])
                self._over.wait(HEED_S)

    def _order(self) -> Ending | None:
        if self._stop is not None and self._stop.is_set():
            return Ending("interrupted", "it was stopped")
        return halting(self._course)


def halting(course: Course) -> Ending | None:
    """How a run ends once everything is halted, even if it is resumed by now; ``None`` if it was not."""
    flag = halted_since(course.home, course.lowered)
    return Ending("halted", f"{flag.by} halted everything: {flag.reason}") if flag else None
