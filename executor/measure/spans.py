"""Lengths of time that sampling pins down only to within an interval, and their mean over trials as a figure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from executor.measure.intervals import mean_interval
from executor.model.evidence import Figure


@dataclass(frozen=True)
class Span:
    """A number, mostly of seconds, that sampling pins down to between ``low`` and ``high``."""

    value: float
    low: float
    high: float


def mean_of(
    name: str, of: str, spans: Sequence[Span | None], unit: Literal["s", "ratio"] = "s", most: float = math.inf
) -> Iterator[Figure]:
    """Their mean. One trial in which it never came leaves the mean unbounded, so there is no figure then.

    The interval holds the sampling error, and over several trials their spread as well; it stays within 0 and ``most``.
    """
    known = [span for span in spans if span is not None]
    if not known or len(known) < len(spans):
        return
    mean = mean_span(known)
    yield Figure(
        name=name, of=of, value=mean.value, unit=unit, low=max(0.0, mean.low), high=min(most, mean.high), n=len(known)
    )


def mean_span(spans: Sequence[Span]) -> Span:
    """The mean of one or more, with what sampling leaves open and, of several, their spread."""
    low, high = average([span.low for span in spans]), average([span.high for span in spans])
    value = average([span.value for span in spans])
    if len(spans) > 1:
        spread_low, spread_high = mean_interval([span.value for span in spans])
        low, high = low - (value - spread_low), high + (spread_high - value)
    return Span(value, low, high)


def average(values: Sequence[float]) -> float:
    """The mean of one or more values."""
    return math.fsum(values) / len(values)
