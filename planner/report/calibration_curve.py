"""What predictions said against how often they came true: SVG, nothing from outside."""

from __future__ import annotations

from knowledge.calibration import Calibration
from planner.report.alone import Drawing
from planner.report.picture import LEFT, TOP

SIDE = 220
HEIGHT = TOP + SIDE + 34
WIDTH = LEFT + SIDE + 30


def calibration_curve(found: Calibration) -> Drawing:
    """A point for each bin, with its 95 % interval and the larger the more there are; on the line, said is true."""
    most = max(each.n for each in found.bins)
    parts = [
        f'<line class="base" x1="{_x(0)}" y1="{_y(share)}" x2="{_x(1)}" y2="{_y(share)}"/>'
        f'<text class="unit" x="{LEFT - 10}" y="{_y(share) + 4}" text-anchor="end">{share:.0%}</text>'
        f'<text class="unit" x="{_x(share)}" y="{HEIGHT - 16}" text-anchor="middle">{share:.0%}</text>'
        for share in (0.0, 0.5, 1.0)
    ]
    parts.append(f'<line class="mark" x1="{_x(0)}" y1="{_y(0)}" x2="{_x(1)}" y2="{_y(1)}"/>')
    for each in found.bins:
        low, high = each.interval
        said = f"said {each.said:.0%}, came true {each.came_true:.0%} of {each.n}"
        parts.append(
            f'<line class="unit" x1="{_x(each.said)}" y1="{_y(low)}" x2="{_x(each.said)}" y2="{_y(high)}"/>'
            f'<circle class="{"dot" if each.fits else "ring"}" cx="{_x(each.said)}" cy="{_y(each.came_true)}" '
            f'r="{3 + 4 * each.n / most:.1f}"><title>{said}</title></circle>'
        )
    return Drawing(
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" style="max-width: {WIDTH}px" role="img" '
        f'aria-label="said against came true, {found.n} predictions">'
        + f'<text class="name" x="{LEFT - 50}" y="{TOP + SIDE / 2}" text-anchor="end">came true</text>'
        + "".join(parts)
        + f'<text class="unit" x="{_x(0.5)}" y="{HEIGHT - 3}" text-anchor="middle">said</text></svg>'
    )


def _x(share: float) -> float:
    return round(LEFT + SIDE * share, 1)


def _y(share: float) -> float:
    return round(TOP + SIDE * (1 - share), 1)
