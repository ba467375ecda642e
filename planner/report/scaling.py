"""How throughput scales with what is under way: the law that was fitted, with the points: SVG, nothing from outside."""

from __future__ import annotations

import html

from executor.model.capacity import Capacity
from planner.report.alone import Drawing
from planner.report.picture import LEFT, TOP, WIDTH

TALL = 190
HEIGHT = TOP + TALL + 30
_STEPS = 60


def scaling(found: Capacity) -> Drawing:
    """Points of the rates that were carried, the Universal Scalability Law through them, and what its intervals allow.

    The band is the law with both coefficients at their lower ends, and at their upper ends. Empty without a fit.
    """
    if found.alone_rps is None or found.contention is None or found.coherency is None:
        return Drawing()
    points = [(e.concurrency, e.goodput_rps) for e in found.levels if e.outcome == "stable" and e.concurrency]
    if not points:
        return Drawing()
    gamma, sigma, kappa = found.alone_rps, found.contention, found.coherency
    widest = 1.3 * max(n for n, _ in points)
    across = [widest * (step + 1) / _STEPS for step in range(_STEPS)]

    def law(n: float, s: float, k: float) -> float:
        return gamma.value * n / max(1e-9, 1 + s * (n - 1) + k * n * (n - 1)) if n >= 1 else gamma.value * n

    most = 1.05 * max([law(n, sigma.low, kappa.low) for n in across] + [x for _, x in points])

    def at(n: float, x: float) -> str:
        return f"{LEFT + (WIDTH - LEFT - 12) * n / widest:.1f},{TOP + TALL * (1 - max(0.0, min(x, most)) / most):.1f}"

    upper = [at(n, law(n, sigma.low, kappa.low)) for n in across]
    lower = [at(n, law(n, sigma.high, kappa.high)) for n in across]
    middle = [at(n, law(n, sigma.value, kappa.value)) for n in across]
    base = TOP + TALL
    dots = (at(n, x).split(",") for n, x in points)
    title = f"throughput of {found.instance} over requests under way, and the law that fits it"
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(title)}">',
        f'<text class="name" x="{LEFT - 10}" y="{base - 16}" text-anchor="end">throughput</text>',
        f'<text class="unit" x="{LEFT - 10}" y="{base - 4}" text-anchor="end">max {most:,.0f} requests/s</text>',
        f'<polygon class="band" points="{" ".join(upper + lower[::-1])}"/>',
        f'<polyline class="good" fill="none" points="{" ".join(middle)}"/>',
        *(f'<circle class="dot" cx="{x}" cy="{y}" r="3.2"/>' for x, y in dots),
        f'<line class="base" x1="{LEFT}" y1="{base}" x2="{WIDTH - 12}" y2="{base}"/>',
        f'<text class="unit" x="{LEFT}" y="{HEIGHT - 12}">0</text>',
        f'<text class="unit" x="{WIDTH - 12}" y="{HEIGHT - 12}" text-anchor="end">{widest:.0f} under way</text>',
        "</svg>",
    ]
    return Drawing("".join(parts))
