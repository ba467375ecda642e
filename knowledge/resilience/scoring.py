"""How measured numbers become a score: weights and mapping, all in one place, and printed with every score."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from executor.model.base import Contract, Probability, Seconds
from knowledge.resilience.measures import Dimension, Measure

Weight = Annotated[float, Field(ge=0, le=1000)]


class Weights(Contract):
    """How much each dimension counts, compared with the others; 0 leaves it out."""

    availability: Weight = 3
    latency: Weight = 1
    detection: Weight = 1.5
    recovery: Weight = 2
    containment: Weight = 1.5
    degradation: Weight = 1

    @model_validator(mode="after")
    def _something_counts(self) -> Self:
        if not any(vars(self).values()):
            raise ValueError("at least one dimension must count")
        return self

    def of(self, dimension: Dimension) -> float:
        """The weight of one dimension."""
        return float(getattr(self, dimension.value))


class Scoring(Contract):
    """Everything that a score depends on beside what was measured."""

    weights: Weights = Weights()
    criticality: tuple[Weight, Weight, Weight, Weight] = (0.25, 0.5, 0.75, 1.0)
    """How much a service counts in its system's score, by its criticality 0–3."""
    detection_s: Annotated[Seconds, Field(gt=0)] = 10
    """Time to detect that is good enough where no hypothesis says one."""
    recovery_s: Annotated[Seconds, Field(gt=0)] = 30
    """Time to recover that is good enough where no hypothesis says one."""
    floor: Annotated[Probability, Field(lt=1)] = 0.01
    """A dimension counts at least so much, so that scores that have a zero in them can still be told apart; 0: the
    score is then zero."""

    def promised(self, measure: Measure) -> float:
        """What a measure is held against."""
        if measure.promised is not None:
            return measure.promised
        return {Dimension.DETECTION: self.detection_s, Dimension.RECOVERY: self.recovery_s}.get(measure.dimension, 1.0)

    def words(self) -> tuple[str, ...]:
        """The weights and the mapping, a line each."""
        weights = ", ".join(f"{d.value} {self.weights.of(d):g}" for d in Dimension)
        criticality = ", ".join(f"{level}: {weight:g}" for level, weight in enumerate(self.criticality))
        return (
            f"Weights: {weights}; of services by criticality: {criticality}.",
            "Availability and degradation: share of good answers ÷ promised share, at most 1. Latency: promised ÷ 95th "
            "percentile, at most 1. Containment: as measured.",
            "Detection and recovery: promised time ÷ mean time, at most 1, and 0 where it was not seen in one of the "
            f"trials; promised, where no hypothesis says it: {self.detection_s:g} s and {self.recovery_s:g} s.",
            "A dimension is the mean of its measures, weighted by how often users do it; the score is the weighted "
            f"geometric mean of the dimensions that were tested, each at least {self.floor:g}.",
        )


LESS_IS_BETTER: frozenset[Dimension] = frozenset({Dimension.LATENCY, Dimension.DETECTION, Dimension.RECOVERY})
