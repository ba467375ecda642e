"""The resilience score over a system's runs: SVG, no script and no outside file."""

from __future__ import annotations

import html

from knowledge.resilience.trends import SCORE, Trends
from planner.report.alone import Drawing
from planner.report.picture import LEFT, TOP, WIDTH

TALL = 180
HEIGHT = TOP + TALL + 34


def score_trend(name: str, found: Trends) -> Drawing:
    """A point a run with its interval; those that tried something else are hollow. A change of level is marked.

    Empty without a run that has a score.
    """
    points = [point for point in found.points if point.score is not None]
    if not points:
        return Drawing()
    wide = (WIDTH - LEFT - 40) / max(1, len(points) - 1)
    places = {point.run.run: LEFT + 14 + wide * number for number, point in enumerate(points)}
    parts = [
        f'<line class="base" x1="{LEFT}" y1="{_y(share)}" x2="{WIDTH - 12}" y2="{_y(share)}"/>'
        f'<text class="unit" x="{LEFT - 10}" y="{_y(share) + 4}" text-anchor="end">{share:g}</text>'
        for share in (0.0, 0.25, 0.5, 0.75, 1.0)
    ]
    for change in found.changes:
        if change.figure == SCORE and change.run.run in places:
            x, word = places[change.run.run], "better" if change.better else "worse"
            parts.append(f'<line class="mark" x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{TOP + TALL}"/>')
            parts.append(f'<text class="mark" x="{x:.1f}" y="{TOP - 8}" text-anchor="middle">{word}</text>')
    for point in points:
        assert point.score is not None
        x, said = places[point.run.run], f"{point.run.run}: {point.score.value:.2f}"
        parts.append(
            f'<line class="unit" x1="{x:.1f}" y1="{_y(point.score.low)}" x2="{x:.1f}" y2="{_y(point.score.high)}"/>'
            f'<circle class="{"dot" if point.comparable else "ring"}" cx="{x:.1f}" cy="{_y(point.score.value)}" r="4">'
            f"<title>{html.escape(said)}</title></circle>"
        )
    first, last = points[0].run, points[-1].run
    return Drawing(
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(f"score of {name} over its runs")}">'
        + f'<text class="name" x="{LEFT - 50}" y="{TOP + TALL / 2}" text-anchor="end">score</text>'
        + "".join(parts)
        + f'<text class="unit" x="{LEFT}" y="{HEIGHT - 10}">{first.started:%Y-%m-%d}</text>'
        + f'<text class="unit" x="{WIDTH - 12}" y="{HEIGHT - 10}" text-anchor="end">{last.started:%Y-%m-%d}</text>'
        + "</svg>"
    )


def _y(share: float) -> float:
    return round(TOP + TALL * (1 - share), 1)
