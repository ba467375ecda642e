"""How slow the answers of each check were over time, as a heat map: SVG, no script and no outside file."""

from __future__ import annotations

import html

import numpy as np

from executor.measure.columns import Codes, Floats, Recording, Series
from planner.report.alone import Drawing
from planner.report.picture import LEFT, TOP, WIDTH, asked

COLUMNS = 100
"""Spans of time, all of one length."""
STEP = 9
"""Height of a row, pixels: each is of twice the latency of the one below it, from 1 ms on."""
GAP = 30


def heat_map(recording: Recording) -> Drawing:
    """A band a check: time goes right, latency up by doubling; the darker, the more answers. Bad ones are red.

    Empty if nothing was observed.
    """
    rows = asked(recording)
    if not rows:
        return Drawing()
    begin = min(float(series.at_s[0]) for series in rows.values())
    span = max(float(series.at_s[-1]) for series in rows.values()) - begin or 1.0
    highest = {name: int(_rows(series.latency_ms).max()) for name, series in rows.items()}
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
    return Drawing(
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{html.escape(title)}">'
        + "".join(parts)
        + f'<text class="unit" x="{LEFT}" y="{height - 8}">0 s</text>'
        + f'<text class="unit" x="{WIDTH - 12}" y="{height - 8}" text-anchor="end">{span:.0f} s</text></svg>'
    )


def _rows(latency_ms: Floats) -> Codes:
    return np.ceil(np.log2(np.maximum(latency_ms, 1.0))).astype(np.int32)


def _cells(series: Series, base: float, begin: float, span: float) -> list[str]:
    columns = np.minimum(COLUMNS - 1, ((series.at_s - begin) / span * COLUMNS).astype(np.int32))
    rows = _rows(series.latency_ms)
    places = (np.int32(COLUMNS) * rows + columns) * 2 + series.ok
    cells, counts = np.unique(places, return_counts=True)
    most = int(counts.max())
    wide = (WIDTH - LEFT - 12) / COLUMNS
    found = [
        (*divmod(cell // 2, COLUMNS), cell % 2, n) for cell, n in zip(cells.tolist(), counts.tolist(), strict=True)
    ]
    return [
        f'<rect class="{"cell" if ok else "badcell"}" x="{LEFT + column * wide:.1f}" y="{base - (row + 1) * STEP:.1f}" '
        f'width="{wide:.1f}" height="{STEP}" fill-opacity="{0.25 + 0.75 * count / most:.2f}">'
        f"<title>{count} up to {2**row:,} ms{'' if ok else ', bad'}</title></rect>"
        for row, column, ok, count in found
    ]
