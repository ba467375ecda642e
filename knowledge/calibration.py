"""How good probabilities were, once it is known what came out: scores, and said against came true.

Source: both scores are strictly proper (T. Gneiting and A. E. Raftery, "Strictly Proper Scoring Rules, Prediction, and
Estimation", JASA 2007); the curve is the reliability diagram of A. H. Murphy and R. L. Winkler, "Reliability of
Subjective Probability Forecasts of Precipitation and Temperature", Applied Statistics 26 (1977).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from executor.measure.intervals import Share

COIN_LOG = math.log(2)
"""Log score of who always says 50 %."""
COIN_BRIER = 0.25
EDGE = 0.01
"""Nobody is scored as surer than this: one certain miss would cost infinitely much."""

Scored = tuple[float, bool]
"""What was said, 0–1, and whether it came true."""


@dataclass(frozen=True)
class Bin:
    """Predictions that said about the same, and how often they came true."""

    said: float
    """Mean probability, 0–1."""
    came_true: float
    """Share that broke, 0–1."""
    n: int

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of ``came_true``, by Wilson."""
        share = Share(round(self.came_true * self.n), self.n)
        return share.low, share.high

    @property
    def fits(self) -> bool:
        """Whether what was said lies within it."""
        low, high = self.interval
        return low <= self.said <= high


@dataclass(frozen=True)
class Calibration:
    """A row of predictions that met a clear outcome."""

    n: int
    brier: float
    """Mean squared error; lower is better, a coin has 0.25."""
    log_score: float
    """Mean of −ln of the probability given to what came out; lower is better, a coin has 0.693."""
    came_true: float
    bins: tuple[Bin, ...]
    """By what was said, lowest first; empty ones are left out."""

    @property
    def skill(self) -> float:
        """Brier skill: 1 is perfect, 0 as good as always saying the share that came true, below 0 worse."""
        constant = self.came_true * (1 - self.came_true)
        return 1 - self.brier / constant if constant > 0 else 0.0


def calibration(scored: Sequence[Scored], bins: int) -> Calibration | None:
    """Score predictions, in so many equally wide bins; ``None`` if there are none."""
    if not scored:
        return None
    n = len(scored)
    return Calibration(
        n=n,
        brier=math.fsum((said - came_true) ** 2 for said, came_true in scored) / n,
        log_score=math.fsum(loss(said, came_true) for said, came_true in scored) / n,
        came_true=sum(came_true for _, came_true in scored) / n,
        bins=tuple(_bins(scored, bins)),
    )


def loss(said: float, came_true: bool) -> float:
    """−ln of the probability that was given to what came out."""
    inside = min(max(said, EDGE), 1 - EDGE)
    return -math.log(inside if came_true else 1 - inside)


def _bins(scored: Sequence[Scored], count: int) -> Iterator[Bin]:
    found: dict[int, list[Scored]] = {}
    for said, came_true in scored:
        found.setdefault(min(int(said * count), count - 1), []).append((said, came_true))
    for _, some in sorted(found.items()):
        yield Bin(
            said=math.fsum(said for said, _ in some) / len(some),
            came_true=sum(came_true for _, came_true in some) / len(some),
            n=len(some),
        )
