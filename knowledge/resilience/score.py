"""The resilience score, 0–1: of a service and of a system, with its interval, its dimensions and its coverage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from executor.measure.intervals import RESAMPLES, Z
from knowledge.resilience.measures import Dimension, Measure
from knowledge.resilience.scoring import LESS_IS_BETTER, Scoring

Values = npt.NDArray[np.float64]
_INSTANT = 1e-9


@dataclass(frozen=True)
class Part:
    """One dimension, 0–1."""

    value: float
    low: float
    """Lower end of the 95 % interval."""
    high: float
    n: int
    """Measures that it rests on."""


@dataclass(frozen=True)
class Score:
    """Of one service, or of the whole system."""

    of: str
    value: float
    low: float
    high: float
    parts: Mapping[Dimension, Part]
    """Those that were tested."""
    untested: tuple[Dimension, ...]
    """The dimensions that would count and were not tested: the score leaves them out."""


@dataclass(frozen=True)
class Coverage:
    """How many of the hypotheses that could be asked were decided."""

    tested: int
    applicable: int

    @property
    def share(self) -> float:
        """0–1; 0 where nothing can be asked."""
        return self.tested / self.applicable if self.applicable else 0.0


def score(of: str, measures: Sequence[Measure], scoring: Scoring) -> Score | None:
    """Weighted geometric mean of the dimensions that were measured; ``None`` where none was.

    A geometric mean lets no strength make up for a weakness: a dimension at zero takes the score to zero, or near it
    (``Scoring.floor``). The interval is a bootstrap, seeded, over the measures of each dimension, each drawn anew from
    a normal distribution as wide as its own interval. A dimension with a single measure has that width alone.

    Source: J. Aczél and T. L. Saaty, "Procedures for synthesizing ratio judgements", Journal of Mathematical
    Psychology 27 (1983), for the geometric mean; B. Efron and R. Tibshirani, "An Introduction to the Bootstrap",
    chapters 6 and 13.
    """
    chance = np.random.default_rng(0)
    parts: dict[Dimension, Part] = {}
    logs, whole = np.zeros(RESAMPLES + 1), 0.0
    for dimension in Dimension:
        weight = scoring.weights.of(dimension)
        group = [m for m in measures if m.dimension is dimension and weight and _weight(m, scoring)]
        if not group:
            continue
        value, drawn = _dimension(group, scoring, chance)
        parts[dimension] = Part(value, *_interval(value, drawn), len(group))
        with np.errstate(divide="ignore"):  # the logarithm of zero is meant
            logs += weight * np.log(np.maximum(scoring.floor, [value, *drawn]))
        whole += weight
    if not parts:
        return None
    value, *found = np.minimum(1.0, np.exp(logs / whole)).tolist()
    untested = tuple(d for d in Dimension if d not in parts and scoring.weights.of(d))
    return Score(of, value, *_interval(value, np.array(found)), parts, untested)


def services(measures: Sequence[Measure], scoring: Scoring) -> tuple[Score, ...]:
    """The score of each service that something was measured of, by name."""
    names = sorted({measure.service for measure in measures})
    found = (score(name, [m for m in measures if m.service == name], scoring) for name in names)
    return tuple(each for each in found if each is not None)


def mapped(measure: Measure, scoring: Scoring, values: Values) -> Values:
    """What values of a measure count, 0–1, each held against what was promised."""
    promised = scoring.promised(measure)
    if measure.dimension in LESS_IS_BETTER:
        return np.minimum(1.0, promised / np.maximum(values, _INSTANT))
    return np.minimum(1.0, values / promised)


def _interval(value: float, drawn: Values) -> tuple[float, float]:
    low, high = (float(q) for q in np.quantile(drawn, (0.025, 0.975)))
    return min(low, value), max(high, value)


def _weight(measure: Measure, scoring: Scoring) -> float:
    return measure.weight * scoring.criticality[measure.criticality]


def _dimension(group: Sequence[Measure], scoring: Scoring, chance: np.random.Generator) -> tuple[float, Values]:
    weights = np.array([_weight(m, scoring) for m in group])
    counted = np.array([_counted(m, scoring) for m in group])
    drawn = np.stack([_drawn(m, scoring, chance) for m in group], axis=1)
    rows = np.arange(RESAMPLES)[:, None]
    chosen = chance.integers(len(group), size=(RESAMPLES, len(group)))
    resampled = (drawn[rows, chosen] * weights[chosen]).sum(axis=1) / weights[chosen].sum(axis=1)
    return float((counted * weights).sum() / weights.sum()), resampled


def _counted(measure: Measure, scoring: Scoring) -> float:
    return 0.0 if measure.value is None else float(mapped(measure, scoring, np.array([measure.value]))[0])


def _drawn(measure: Measure, scoring: Scoring, chance: np.random.Generator) -> Values:
    """What a measure might count, as far as it is known."""
    if measure.value is None or measure.low is None or measure.high is None:
        return np.full(RESAMPLES, _counted(measure, scoring))
    spread = (measure.high - measure.low) / (2 * Z)
    values = np.clip(chance.normal(measure.value, spread, RESAMPLES), measure.low, measure.high)
    return mapped(measure, scoring, values)
