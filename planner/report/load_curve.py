"""What an instance served at each rate that was offered, as a picture: SVG, no script and no outside file."""

from __future__ import annotations

import html
from collections.abc import Sequence

from executor.model.capacity import Capacity, CapacityLevel
from planner.report.alone import Drawing
from planner.report.picture import LEFT, TOP, WIDTH

SERVED, SLOW = 170, 110
"""Heights of the two panels, pixels."""
GAP = 26
HEIGHT = TOP + SERVED + GAP + SLOW + 34
MARKS = {"stable": "good", "violated": "bad"}


def load_curve(found: Capacity) -> Drawing:
    """Above what was served in time over what was offered, below how long it took: p50, and p95 where there is one.

    A thin line is where all is served; the largest rate that is carried is marked, and the knee. Latencies are drawn by
    their square root. Empty without two rates.
    """
    levels = [each for each in found.levels if each.outcome != "unreachable"]
    if len({round(each.offered_rps, 3) for each in levels}) < 2:
        return Drawing()
    most = max(each.offered_rps for each in levels) * 1.04
    base = TOP + SERVED
    title = f"what {found.instance} served of {len(levels)} rates up to {most:.0f} requests a second"
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(title)}">',
        _name("served in time", "requests/s", base),
        f'<line class="base" x1="{LEFT}" y1="{base}" x2="{_x(most, most):.1f}" y2="{TOP:.1f}"/>',
        *_frame(base, most),
        *_marks(found, most),
        *_served(levels, base, most),
        *_latency(levels, most),
        *_axis(most),
    ]
    return Drawing("".join([*parts, "</svg>"]))


def _x(rate: float, most: float) -> float:
    return LEFT + (WIDTH - LEFT - 12) * rate / most


def _name(name: str, unit: str, base: float) -> str:
    return (
        f'<text class="name" x="{LEFT - 10}" y="{base - 16}" text-anchor="end">{html.escape(name)}</text>'
        f'<text class="unit" x="{LEFT - 10}" y="{base - 4}" text-anchor="end">{html.escape(unit)}</text>'
    )


def _frame(base: float, most: float) -> list[str]:
    bottom = base + GAP + SLOW
    return [f'<line class="base" x1="{LEFT}" y1="{y}" x2="{_x(most, most):.1f}" y2="{y}"/>' for y in (base, bottom)]


def _marks(found: Capacity, most: float) -> list[str]:
    places = [("carries", found.low_rps), ("knee", found.knee.value if found.knee else None)]
    parts: list[str] = []
    for turn, (name, rate) in enumerate(places):
        if rate is None:
            continue
        x, y = _x(rate, most), TOP - 10 + 11 * turn
        parts.append(f'<line class="mark" x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{HEIGHT - 34}"/>')
        parts.append(f'<text class="mark" x="{x - 4:.1f}" y="{y}" text-anchor="end">{name} {rate:,.0f}</text>')
    return parts


def _served(levels: Sequence[CapacityLevel], base: float, most: float) -> list[str]:
    parts = []
    for each in levels:
        x, y = _x(each.offered_rps, most), base - SERVED * min(1.0, each.goodput_rps / most)
        kind = MARKS.get(each.outcome, "unit")
        said = f"{each.offered_rps:,.1f} offered, {each.goodput_rps:,.1f} served in time: {each.outcome}"
        parts.append(
            f'<line class="{kind}" x1="{x:.1f}" y1="{base}" x2="{x:.1f}" y2="{y:.1f}"><title>{said}</title></line>'
        )
    return parts


def _latency(levels: Sequence[CapacityLevel], most: float) -> list[str]:
    told = [each.latency_p95_ms or each.latency_p50_ms or 0.0 for each in levels]
    slowest, base = max(told) or 1.0, TOP + SERVED + GAP + SLOW
    parts = [_name("latency", f"p50, p95; max {slowest:,.0f} ms", base)]
    for name, kind in (("latency_p95_ms", "bad"), ("latency_p50_ms", "good")):
        points = [(each.offered_rps, ms) for each in levels if (ms := getattr(each, name)) is not None]
        path = " ".join(f"{_x(rate, most):.1f},{base - SLOW * (ms / slowest) ** 0.5:.1f}" for rate, ms in points)
        parts.append(f'<polyline class="{kind}" fill="none" points="{path}"/>')
    return parts


def _axis(most: float) -> list[str]:
    step = next(s for s in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if most / s <= 12 or s == 1000)
    return [
        f'<text class="unit" x="{_x(tick, most):.1f}" y="{HEIGHT - 20}" text-anchor="middle">{tick:,}/s</text>'
        for tick in range(0, int(most) + 1, step)
    ]
