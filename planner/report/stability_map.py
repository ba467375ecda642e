"""How much is carried under how strong a fault: SVG, no script and no outside file."""

from __future__ import annotations

import html
from collections.abc import Sequence
from os.path import commonprefix

from executor.model.capacity import Capacity
from planner.report.alone import Drawing
from planner.report.picture import TOP, WIDTH

LEFT = 390
_LONGEST = 62
ROW = 30


def stability_map(found: Sequence[tuple[str, Capacity]]) -> Drawing:
    """A row a search, named by what is its own in its title: what is carried is green, what is not red.

    The boundary between them is the stability boundary over the strength of the fault. Empty with fewer than two.
    """
    if len(found) < 2:
        return Drawing()
    most = max(each.limit_rps for _, each in found)
    wide = WIDTH - LEFT - 12
    alike = len(commonprefix([title for title, _ in found]))  # noqa: RUF071 - characters are meant
    parts = []
    for number, (title, each) in enumerate(found):
        top = TOP + ROW * number
        low, high = each.low_rps or 0.0, each.high_rps
        told = title[alike:].lstrip(", ") or "nothing else"
        told = told if len(told) <= _LONGEST else told[: _LONGEST - 1] + "…"
        parts += [
            f'<text class="name" x="{LEFT - 10}" y="{top + 16}" text-anchor="end">{html.escape(told)}'
            f"<title>{html.escape(title)}</title></text>",
            f'<rect class="goodcell" x="{LEFT}" y="{top + 4}" width="{wide * low / most:.1f}" height="{ROW - 10}">'
            f"<title>carries {low:,.0f} requests/s</title></rect>",
        ]
        if high is not None:
            x = LEFT + wide * high / most
            parts.append(
                f'<rect class="badcell" fill-opacity="0.35" x="{x:.1f}" y="{top + 4}" '
                f'width="{max(0.0, LEFT + wide - x):.1f}" height="{ROW - 10}">'
                f"<title>does not carry {high:,.0f} requests/s</title></rect>"
            )
        parts.append(f'<text class="unit" x="{LEFT + wide * low / most + 4:.1f}" y="{top + 17}">{low:,.0f}</text>')
    height = TOP + ROW * len(found) + 24
    return Drawing(
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="what is carried under each strength of a fault">'
        + "".join(parts)
        + f'<text class="unit" x="{LEFT}" y="{height - 8}">0</text>'
        + f'<text class="unit" x="{WIDTH - 12}" y="{height - 8}" text-anchor="end">{most:,.0f} requests/s</text></svg>'
    )
