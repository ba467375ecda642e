"""What a load generator records: counts of a short span of time, one after the other."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from hdrh.histogram import HdrHistogram

HIGHEST_US = 120_000_000
"""The longest latency that a histogram tells apart, in microseconds."""
DIGITS = 3
"""Significant digits of a latency: its error is at most 0.1 %."""


@dataclass(frozen=True)
class Window:
    """A span of time.

    ``due``, ``late``, ``dropped``, ``skipped`` and ``good`` count the requests that were *due* in it, whenever they
    were answered; the others count what *happened* in it, whenever it had been due.
    """

    at_s: float
    """Its start, seconds since the load began."""
    span_s: float
    due: int
    """Requests that were due."""
    late: int
    """Of these, sent late by the generator itself."""
    dropped: int
    """Of these, never sent, since as many as may be were under way."""
    skipped: int
    """Of these, never sent, since the generator was too far behind."""
    good: int
    """Of these, answered well within the latency that was asked for, counted from when they were due."""
    answered: int
    """Good answers that came in this window, however late."""
    failed: Mapping[str, int]
    """What failed in this window, by how: ``refused``, ``reset``, ``timeout``, ``malformed``, ``status 503`` …"""
    under_way: int
    """Requests sent and not answered at its end."""
    lag_ms: float
    """The most that the generator was late in it."""
    busy: float
    """Processor time that the generator used, as a share of one core."""
    latency: str = field(default="", repr=False)
    """Latencies of ``answered``, in microseconds from when each was due: an HDR histogram in its own encoding."""

    @property
    def end_s(self) -> float:
        """Its end, seconds since the load began."""
        return self.at_s + self.span_s

    @property
    def sent(self) -> int:
        """Requests that were due in it and really sent."""
        return self.due - self.dropped - self.skipped

    def line(self) -> str:
        """One line of a file."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def read(cls, line: str | bytes) -> Window:
        """From such a line."""
        return cls(**json.loads(line))


def failures(windows: Iterable[Window]) -> Counter[str]:
    """What failed in some windows together, by how."""
    whole: Counter[str] = Counter()
    for window in windows:
        whole.update(window.failed)
    return whole


def histogram() -> HdrHistogram:
    """An empty one, for latencies in microseconds."""
    return HdrHistogram(1, HIGHEST_US, DIGITS)


def latencies(windows: Iterable[Window]) -> HdrHistogram:
    """All latencies of some windows in one histogram, in microseconds."""
    whole = histogram()
    for window in windows:
        if window.latency:
            whole.decode_and_add(window.latency)
    return whole
