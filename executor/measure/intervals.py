"""Numbers with their uncertainty. Everything is deterministic: equal data give equal intervals."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Z = 1.959963984540054
"""Two-sided 95 % of the normal distribution."""
RESAMPLES = 1000
T = TypeVar("T", float, tuple[float, float])


@dataclass(frozen=True)
class Share:
    """``good`` of ``n``, with its 95 % Wilson interval.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927).
    """

    good: int
    n: int

    @property
    def value(self) -> float:
        """The share itself, 0–1; 0 of an empty sample."""
        return self.good / self.n if self.n else 0.0

    @property
    def low(self) -> float:
        """Lower end; 0 for an empty sample."""
        return max(0.0, min(self.value, self._middle() - self._half())) if self.n else 0.0

    @property
    def high(self) -> float:
        """Upper end; 1 for an empty sample."""
        return min(1.0, max(self.value, self._middle() + self._half())) if self.n else 1.0

    def _middle(self) -> float:
        return (self.value + Z * Z / (2 * self.n)) / (1 + Z * Z / self.n)

    def _half(self) -> float:
        spread = self.value * (1 - self.value) / self.n + Z * Z / (4 * self.n * self.n)
        return Z * math.sqrt(spread) / (1 + Z * Z / self.n)


Ordered = Sequence[float] | NDArray[np.float64]


def quantile(ordered: Ordered, q: float) -> float:
    """The ``q`` quantile (0–1) of sorted values: the smallest value that at least that share does not exceed."""
    return float(ordered[max(0, math.ceil(q * len(ordered)) - 1)])


def quantile_interval(ordered: Ordered, q: float) -> tuple[float | None, float | None]:
    """95 % interval of a quantile from order statistics; ``None`` where the sample is too small to bound that side.

    Source: the binomial argument in H. A. David and H. N. Nagaraja, "Order Statistics", section 7.1, with the normal
    approximation to the binomial.
    """
    n = len(ordered)
    half = Z * math.sqrt(n * q * (1 - q))
    low, high = math.floor(n * q - half), math.ceil(n * q + half)
    return (float(ordered[low - 1]) if low >= 1 else None), (float(ordered[high]) if high < n else None)


def mean_interval(values: Sequence[float]) -> tuple[float, float]:
    """95 % bootstrap interval of the mean of two or more values."""
    return bootstrap(values, lambda drawn: math.fsum(drawn) / len(drawn))


def bootstrap(values: Sequence[T], statistic: Callable[[Sequence[T]], float]) -> tuple[float, float]:
    """95 % percentile-bootstrap interval of a statistic of two or more values, in whatever order, with a fixed seed.

    Source: B. Efron and R. Tibshirani, "An Introduction to the Bootstrap", chapter 13.
    """
    chance = random.Random(0)
    ordered = sorted(values)
    found = sorted(statistic(chance.choices(ordered, k=len(ordered))) for _ in range(RESAMPLES))
    return quantile(found, 0.025), quantile(found, 0.975)


@dataclass(frozen=True)
class RateRatio:
    """Events per second in one span over those in another, with its 95 % interval."""

    value: float
    low: float
    high: float


def rate_ratio(events: int, span_s: float, base_events: int, base_span_s: float) -> RateRatio | None:
    """Compare two counts of events; ``None`` when the base saw none, so that there is nothing to compare with.

    Given their sum, one of two Poisson counts is binomial: its Wilson interval is carried over to the ratio.
    Source: J. Przyborowski and H. Wilenski, Biometrika 31 (1940).
    """
    if base_events <= 0 or span_s <= 0 or base_span_s <= 0:
        return None
    share = Share(events, events + base_events)
    scale = base_span_s / span_s

    def ratio(p: float) -> float:
        return math.inf if p >= 1 else scale * p / (1 - p)

    return RateRatio(ratio(share.value), ratio(share.low), ratio(share.high))
