"""What is believed of one weakness at one place."""

from __future__ import annotations

import math
from dataclasses import dataclass

from executor.model.vocabulary import Weakness

Key = tuple[Weakness, str]
"""A weakness at a place."""

PRIOR_STRENGTH = 2.0
"""Pseudo-counts of a base rate: as much as two observations."""
SHOWN_MIN = 0.95
"""That one of the weaknesses which explain it is there is believed at least this much of what broke, until it holds."""
EDGE = 0.001
"""Probabilities stay this far from 0 and 1: nothing is ever certain."""


@dataclass(frozen=True)
class Belief:
    """What is believed of one weakness at one place."""

    weakness: Weakness
    place: str
    alpha: float
    """Pseudo-counts for: the mean of Beta(alpha, beta) is P(present)."""
    beta: float
    """Pseudo-counts against."""
    grounds: tuple[str, ...]
    """Each number's origin, in words: base rate, neighbours, runs."""
    runs: int = 0
    """How many results that decided something have borne on it."""
    tested: tuple[str, ...] = ()
    """Types of faults (``executor.model.vocabulary.FaultType``) under which it was itself tried and decided."""
    shown: bool = False
    """Whether an experiment that was meant for it has broken, and was not contradicted since. Where something else
    explains that as well, it is a finding all the same, and P(present) says how likely this one is the cause."""
    leaned: float = 0.0
    """Natural log odds by which results at other places, here and elsewhere, moved its base rate."""

    @property
    def probability(self) -> float:
        """P(present), within (0, 1)."""
        return self.alpha / (self.alpha + self.beta)


def inside(probability: float) -> float:
    """A probability kept away from certainty."""
    return max(EDGE, min(1 - EDGE, probability))


def bits(probability: float) -> float:
    """Log odds to the base of 2: one bit doubles the odds."""
    return math.log2(probability / (1 - probability))


def line(text: str) -> str:
    """Cut to what a contract's line may hold."""
    return text if len(text) <= 400 else text[:399] + "…"
