"""How slow the answers of each check were over time, as a heat map: SVG, no script and no outside file."""

from __future__ import annotations

import html
import math
from collections import Counter

from executor.measure.columns import Recording, Series
from planner.report.picture import LEFT, TOP, WIDTH

COLUMNS = 100
"""Spans of time, all of one length."""
STEP = 9
"""Height of a row, pixels: each is of twice the latency of the one below it, from 1 ms on."""
GAP = 30


def heat_map(recording: Recording) -> str:
    """A band a check: time goes right, latency up by doubling; the darker, the more answers. Bad ones are red.

    Empty if nothing was observed.
    """
    rows = {name: recording.series(name) for name in recording.sources if not name.startswith("calls:")}
    rows = {name: series for name, series in rows.items() if len(series)}
    if not rows:
        return ""
    begin = min(float(series.at_s[0]) for series in rows.values())
    span = max(float(series.at_s[-1]) for series in rows.values()) - begin or 1.0
    highest = {name: _row(float(series.latency_ms.max())) for name, series in rows.items()}
    height = TOP + sum((rows_up + 1) * STEP + GAP for rows_up in highest.values())
    parts = []
    top = float(TOP)
    for name, series in rows.items():
        base = top + (highest[name] + 1) * STEP
        parts += [
            f'<text class="name" x="{LEFT - 10}" y="{base - 4}" text-anchor="end">{html.escape(name)}</text>',
            f'<text class="unit" x="{LEFT - 10}" y="{top + STEP}" text-anchor="end">{2 ** highest[name]:,} ms</text>',
            f'<line class="base" x1="{LEFT}" y1="{base}" x2="{WIDTH - 12}" y2="{base}"/>',
            *_cells(series, base, begin, span),
        ]
        top = base + GAP
    title = f"latency over {span:.1f} seconds of {', '.join(rows)}"
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{html.escape(title)}">'
        + "".join(parts)
        + f'<text class="unit" x="{LEFT}" y="{height - 8}">0 s</text>'
        + f'<text class="unit" x="{WIDTH - 12}" y="{height - 8}" text-anchor="end">{span:.0f} s</text></svg>'
    )


def _row(latency_ms: float) -> int:
    return max(0, math.ceil(math.log2(max(latency_ms, 1.0))))


def _cells(series: Series, base: float, begin: float, span: float) -> list[str]:
    found: Counter[tuple[int, int, bool]] = Counter()
    for each in series:
        column = min(COLUMNS - 1, int((each.at_s - begin) / span * COLUMNS))
        found[column, _row(each.latency_ms), each.ok] += 1
    most = max(found.values())
    wide = (WIDTH - LEFT - 12) / COLUMNS
    return [
        f'<rect class="{"cell" if ok else "badcell"}" x="{LEFT + column * wide:.1f}" y="{base - (row + 1) * STEP:.1f}" '
        f'width="{wide:.1f}" height="{STEP}" fill-opacity="{0.25 + 0.75 * count / most:.2f}">'
        f"<title>{count} up to {2**row:,} ms{'' if ok else ', bad'}</title></rect>"
        for (column, row, ok), count in sorted(found.items())
    ]
