"""A circuit breaker: leaves a dependency alone that does not answer, and looks now and then whether it is back."""

from __future__ import annotations

import threading
import time


class Breaker:
    """Opens for ``open_s`` seconds after so many failures in a row; then lets one call at a time find out."""

    def __init__(self, *, failures: int, open_s: float) -> None:
        self._limit = failures
        self._open_s = open_s
        self._failures = 0
        self._closed_again_at = 0.0
        self._lock = threading.Lock()

    def allows(self) -> bool:
        """Whether to call at all. Whoever is allowed to must ``report``."""
        with self._lock:
            now = time.monotonic()
            if self._failures < self._limit:
                return True
            if now < self._closed_again_at:
                return False
            self._closed_again_at = now + self._open_s
            return True

    def report(self, *, good: bool) -> None:
        """How a call that was allowed went."""
        with self._lock:
            self._failures = 0 if good else self._failures + 1
            if self._failures >= self._limit:
                self._closed_again_at = time.monotonic() + self._open_s
