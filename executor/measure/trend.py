"""Whether a few numbers in order rise or fall, and by how much each time: no assumption about their distribution."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, combinations

from executor.measure.intervals import Z

TREND_MIN = 5
"""Of fewer values not even the steadiest rise is significant at 5 %."""
EXACT_MAX = 40
"""Up to so many values without ties the chance is exact; beyond, the normal approximation is as good."""


@dataclass(frozen=True)
class Trend:
    """The usual change from one value to the next."""

    slope: float
    """Median over all pairs of values of their difference ÷ how far they are apart (Theil–Sen)."""
    low: float | None
    """Lower end of its 95 % interval; ``None``: too few values bound it."""
    high: float | None
    p_value: float
    """Chance of values as much in order as these, upwards or downwards, if their order meant nothing (Mann–Kendall)."""


def trend(values: Sequence[float]) -> Trend | None:
    """The trend of values in order; ``None`` of fewer than ``TREND_MIN``.

    Source: P. K. Sen, "Estimates of the regression coefficient based on Kendall's tau", JASA 63 (1968); H. B. Mann,
    "Nonparametric tests against trend", Econometrica 13 (1945); for the interval R. O. Gilbert, "Statistical Methods
    for Environmental Pollution Monitoring" (1987), section 16.5.
    """
    if len(values) < TREND_MIN:
        return None
    slopes = sorted((b - a) / (j - i) for (i, a), (j, b) in combinations(enumerate(values), 2))
    half = Z * math.sqrt(_variance(values))
    below = math.floor((len(slopes) - half) / 2)
    above = math.ceil((len(slopes) + half) / 2)
    return Trend(
        slope=statistics.median(slopes),
        low=slopes[below - 1] if below >= 1 else None,
        high=slopes[above] if above < len(slopes) else None,
        p_value=mann_kendall(values),
    )


def mann_kendall(values: Sequence[float]) -> float:
    """Two-sided chance of an order at least as strict as this; 1 where nothing tells the values apart.

    Source: M. G. Kendall, "Rank Correlation Methods", chapters 4 and 5: exact without ties, else normal with the
    variance corrected for ties and with continuity correction.
    """
    n = len(values)
    score = abs(sum((b > a) - (b < a) for a, b in combinations(values, 2)))
    if n <= EXACT_MAX and len(set(values)) == n:
        counts = _inversions(n)
        most = n * (n - 1) // 2
        return min(1.0, sum(c for k, c in enumerate(counts) if abs(most - 2 * k) >= score) / math.factorial(n))
    variance = _variance(values)
    return math.erfc(max(0, score - 1) / math.sqrt(2 * variance)) if variance else 1.0


def _variance(values: Sequence[float]) -> float:
    """Of Kendall's S over all orders of these values."""
    n = len(values)
    ties = sum(t * (t - 1) * (2 * t + 5) for t in Counter(values).values())
    return (n * (n - 1) * (2 * n + 5) - ties) / 18


def _inversions(n: int) -> list[int]:
    """How many orders of ``n`` different values have 0, 1, 2… pairs the wrong way round."""
    counts = [1]
    for size in range(2, n + 1):
        wider = [*counts, *([0] * (size - 1))]
        summed = list(accumulate(wider))
        counts = [s - (summed[k - size] if k >= size else 0) for k, s in enumerate(summed)]
    return counts
