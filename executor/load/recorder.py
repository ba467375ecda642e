"""Counts what a generator does and what comes of it, window by window."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

from hdrh.histogram import HdrHistogram

from executor.load.window import Window, histogram

LATE_S = 0.01
"""A request that is sent so much later than it was due counts as late. The event loop's own steps are of 1 ms."""


class _Open:
    """A window that is still being counted."""

    __slots__ = (
        "answered",
        "dropped",
        "failed",
        "finished",
        "good",
        "lag_s",
        "late",
        "latency",
        "sent",
        "skipped",
        "started",
    )

    def __init__(self) -> None:
        self.sent = self.late = self.dropped = self.skipped = self.good = 0
        self.started = self.finished = self.answered = 0
        self.failed: Counter[str] = Counter()
        self.lag_s = 0.0
        self.latency: HdrHistogram | None = None


class Recorder:
    """Writes a window once it is known which of its requests were good: ``good_within_s`` after its end."""

    def __init__(self, write: Callable[[Window], None], begun: float, window_s: float, good_within_s: float) -> None:
        """``begun`` is the event loop's time at the start of the load."""
        self._write, self._begun = write, begun
        self._window_s, self._good_within_s = window_s, good_within_s
        self._open: dict[int, _Open] = {}
        self._written = 0
        self._next_due = begun
        self._under_way = 0
        self._cpu = (begun, time.process_time())

    def next_due(self, due: float) -> None:
        """No other request is due before that."""
        self._next_due = due

    def sent(self, due: float, now: float) -> None:
        """A request goes out."""
        window, lag_s = self._at(due), now - due
        window.sent += 1
        window.lag_s = max(window.lag_s, lag_s)
        window.late += lag_s > LATE_S
        self._at(now).started += 1

    def dropped(self, due: float) -> None:
        """One does not, since as many as may be are under way."""
        self._at(due).dropped += 1

    def skipped(self, due: float) -> None:
        """One does not, since it would come far too late."""
        self._at(due).skipped += 1

    def settled(self, due: float, now: float, outcome: str) -> None:
        """One has its answer, or is given up."""
        window = self._at(now)
        window.finished += 1
        if outcome:
            window.failed[outcome] += 1
            return
        window.answered += 1
        if window.latency is None:
            window.latency = histogram()
        window.latency.record_value(max(1, round((now - due) * 1e6)))
        if now - due <= self._good_within_s:
            self._at(due).good += 1

    def flush(self, now: float, *, all_until: float | None = None) -> None:
        """Write what is known by now; with ``all_until``, every window that has begun by then."""
        # A generator that is behind has not yet said of its oldest requests whether it sends them.
        known = int((min(now - self._good_within_s, self._next_due) - self._begun) / self._window_s)
        if all_until is not None:
            known = max(self._written, int(-(-(all_until - self._begun) // self._window_s)))
        if known <= self._written:
            return
        before, used = self._cpu
        self._cpu = now, time.process_time()
        busy = (self._cpu[1] - used) / (now - before) if now > before else 0.0
        while self._written < known:
            self._write(self._close(self._written, busy))
            self._written += 1

    def _at(self, when: float) -> _Open:
        place = max(self._written, int((when - self._begun) / self._window_s))
        if (window := self._open.get(place)) is None:
            window = self._open[place] = _Open()
        return window

    def _close(self, place: int, busy: float) -> Window:
        window = self._open.pop(place, None) or _Open()
        self._under_way += window.started - window.finished
        return Window(
            at_s=round(place * self._window_s, 6),
            span_s=self._window_s,
            due=window.sent + window.dropped + window.skipped,
            late=window.late,
            dropped=window.dropped,
            skipped=window.skipped,
            good=window.good,
            answered=window.answered,
            failed=dict(window.failed),
            under_way=self._under_way,
            lag_ms=round(window.lag_s * 1000, 3),
            busy=round(busy, 3),
            latency=window.latency.encode().decode() if window.latency else "",
        )
