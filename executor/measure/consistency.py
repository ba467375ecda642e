"""Whether every trial went alike: spread, worst case, trend, and the trials that stand apart."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence

from executor.measure.intervals import bootstrap
from executor.measure.spans import Span
from executor.measure.trend import trend
from executor.model.evidence import Figure

SPREAD_MIN = 3
"""Of fewer trials nobody can say how far they spread."""
OUTLIERS_MIN = 5
OUTLYING = 3.5
"""From this modified z-score on a trial stands apart."""


def consistency(name: str, of: str, spans: Mapping[int, Span | None]) -> Iterator[Figure]:
    """Figures ``NAME_worst``, ``NAME_cv``, ``NAME_trend`` and one ``NAME_outlier`` a trial that stands apart.

    ``spans`` has one length a trial, by the trial's number, in order. None if it never came in one of them.
    """
    known = {number: span for number, span in spans.items() if span is not None}
    if len(known) < len(spans) or len(known) < 2:
        return
    values, n = [span.value for span in known.values()], len(known)
    worst = max(known.values(), key=lambda span: span.value)
    yield Figure(
        name=f"{name}_worst", of=of, value=worst.value, unit="s", low=max(0.0, worst.low), high=worst.high, n=n
    )
    if n >= SPREAD_MIN and math.fsum(values) > 0:
        low, high = bootstrap(values, variation)
        yield Figure(name=f"{name}_cv", of=of, value=variation(values), unit="ratio", low=low, high=high, n=n)
    if seen := trend(values):
        yield Figure(
            name=f"{name}_trend",
            of=of,
            value=seen.slope,
            unit="s_per_trial",
            low=seen.low,
            high=seen.high,
            n=n,
            p_value=seen.p_value,
        )
    sure = max(span.high - span.low for span in known.values())
    for number in outliers(values, sure):
        trial, span = list(known.items())[number]
        yield Figure(
            name=f"{name}_outlier",
            of=f"{of} in trial {trial}",
            value=span.value,
            unit="s",
            low=max(0.0, span.low),
            high=span.high,
            n=n,
        )


def variation(values: Sequence[float]) -> float:
    """Coefficient of variation: sample standard deviation ÷ mean; 0 where the mean is 0."""
    mean = math.fsum(values) / len(values)
    return statistics.stdev(values) / mean if mean else 0.0


def outliers(values: Sequence[float], sure: float = 0.0) -> list[int]:
    """Places of the values that stand apart from the median by more than ``sure`` and a modified z-score of 3.5.

    Source: B. Iglewicz and D. C. Hoaglin, "How to Detect and Handle Outliers" (1993): 0.6745 × deviation ÷ MAD, and
    where more than half of the values are equal, deviation ÷ (1.253314 × mean absolute deviation).
    """
    if len(values) < OUTLIERS_MIN:
        return []
    median = statistics.median(values)
    away = [abs(value - median) for value in values]
    scale = statistics.median(away) / 0.6745 or 1.253314 * math.fsum(away) / len(away)
    return [i for i, far in enumerate(away) if far > sure and far > OUTLYING * scale]
