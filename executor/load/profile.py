"""When requests are due: rates over time, and the arrivals that follow from them."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Segment:
    """A rate, requests a second, that goes in a straight line from ``start_rps`` to ``end_rps`` in so many seconds."""

    start_rps: float
    end_rps: float
    seconds: float

    @property
    def count(self) -> float:
        """Requests due in it."""
        return (self.start_rps + self.end_rps) / 2 * self.seconds

    def when(self, count: float) -> float:
        """Seconds from its start until so many requests are due.

        The root of ``count = start·t + slope·t²/2``, written so that nothing cancels where the slope is small or 0.
        """
        if count <= 0:
            return 0.0
        slope = (self.end_rps - self.start_rps) / self.seconds
        return 2 * count / (self.start_rps + math.sqrt(max(0.0, self.start_rps**2 + 2 * slope * count)))


def constant(rate_rps: float, seconds: float = math.inf) -> Segment:
    """One rate throughout."""
    return Segment(rate_rps, rate_rps, seconds)


def arrivals(profile: Sequence[Segment], chance: random.Random | None = None) -> Iterator[float]:
    """Seconds since the start at which each request is due, rising.

    Evenly spaced; with ``chance``, at random and independent of each other, as those of many users are. Source of the
    latter: a Poisson process of unit rate, taken through the inverse of the cumulated rate (E. Çinlar, "Introduction to
    Stochastic Processes", 1975, section 4.7).
    """
    begin_s = before = 0.0
    due = chance.expovariate(1.0) if chance else 0.0
    for segment in profile:
        while due < before + segment.count:
            yield begin_s + segment.when(due - before)
            due += chance.expovariate(1.0) if chance else 1.0
        begin_s, before = begin_s + segment.seconds, before + segment.count
