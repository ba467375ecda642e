"""Whether a system gets better: the score and the figures behind it over its runs, and where they changed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from executor.model.vocabulary import Verdict
from knowledge.resilience.change_points import ALPHA, SHOWN_MIN, ChangePoint, change_points
from knowledge.resilience.measures import Dimension, Measure
from knowledge.resilience.score import Score, score
from knowledge.resilience.scoring import LESS_IS_BETTER, Scoring
from knowledge.rows import PastRow, PastRun

SCORE = "score"
UNITS: Mapping[Dimension, Literal["s", "ms", ""]] = {
    Dimension.DETECTION: "s",
    Dimension.RECOVERY: "s",
    Dimension.LATENCY: "ms",
}
"""Of what is measured in each dimension; shares have none."""
RUNS_MAX = 100
"""So many of the latest runs are looked at."""


@dataclass(frozen=True)
class Point:
    """One run."""

    run: PastRun
    score: Score | None
    """``None``: it measured nothing."""
    figures: Mapping[str, float]
    """By dimension: mean of what was measured, in its own unit, and the score."""
    comparable: bool
    """Whether it tried what the latest completed run tried."""


@dataclass(frozen=True)
class Change:
    """A change of level that chance hardly explains."""

    figure: str
    unit: str
    point: ChangePoint
    run: PastRun
    """The first run after it."""
    better: bool


@dataclass(frozen=True)
class Trends:
    """Of one system. Changes are looked for among comparable runs only."""

    points: tuple[Point, ...]
    """Oldest first."""
    changes: tuple[Change, ...]

    @property
    def comparable(self) -> int:
        """How many runs the changes were looked for in."""
        return sum(point.comparable and point.score is not None for point in self.points)


def trends(
    runs: Sequence[PastRun], measures: Mapping[str, Sequence[Measure]], past: Sequence[PastRow], scoring: Scoring
) -> Trends:
    """Of the runs of one system, oldest first, with their measures and results.

    Like is compared with like: runs that tried the same faults at the same places for the same weaknesses as the
    latest one that was completed. In a system that never changed a change is seen, among all figures together, with a
    chance of at most ``ALPHA``: half of that for the score, the other half for all other figures.
    """
    tried: dict[str, set[tuple[str, str, str]]] = {run.run: set() for run in runs}
    for row in past:
        if row.run in tried and row.verdict is not Verdict.ABORTED:
            tried[row.run].add((row.weakness.value, row.place, row.fault))
    latest = next((tried[run.run] for run in reversed(runs) if run.outcome == "completed"), set())
    points = tuple(
        _point(run, measures.get(run.run, ()), scoring, tried[run.run] == latest) for run in runs[-RUNS_MAX:]
    )
    return Trends(points, tuple(_changes(points)))


def _point(run: PastRun, measures: Sequence[Measure], scoring: Scoring, comparable: bool) -> Point:
    found = score(run.system, measures, scoring)
    figures = {} if found is None else {SCORE: found.value}
    for dimension in Dimension:
        group = [m for m in measures if m.dimension is dimension]
        values = [m.value for m in group if m.value is not None]
        whole = math.fsum(m.weight for m in group)
        if whole > 0 and len(values) == len(group):
            figures[dimension.value] = math.fsum(v * m.weight for v, m in zip(values, group, strict=True)) / whole
    return Point(run, found, figures, comparable)


def _changes(points: Sequence[Point]) -> Iterator[Change]:
    series = {
        name: [(point.figures[name], point.run) for point in points if point.comparable and name in point.figures]
        for name in (SCORE, *(dimension.value for dimension in Dimension))
    }
    long_enough = {name: told for name, told in series.items() if len(told) >= SHOWN_MIN}
    for name, told in long_enough.items():
        alpha = ALPHA / 2 if name == SCORE else ALPHA / 2 / max(1, len(long_enough) - 1)
        for point in change_points([value for value, _ in told], alpha):
            less = name != SCORE and Dimension(name) in LESS_IS_BETTER
            yield Change(
                figure=name,
                unit="" if name == SCORE else UNITS.get(Dimension(name), ""),
                point=point,
                run=told[point.at][1],
                better=(point.after < point.before) == less,
            )
