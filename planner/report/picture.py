"""Evidence as pictures: one SVG an experiment, drawn from its observations, no script and no outside file."""

from __future__ import annotations

import html
from collections.abc import Sequence

from executor.measure.columns import Recording, Series
from executor.model.evidence import Event, EventKind

WIDTH = 880
"""Pixels, of which ``LEFT`` are for names."""
LEFT = 190
ROW = 34
TOP = 22

MARKS = {
    EventKind.IMPACT: "impact",
    EventKind.DETECTED: "detected",
    EventKind.MITIGATED: "mitigated",
    EventKind.RECOVERED: "recovered",
}


def timeline(recording: Recording, events: Sequence[Event]) -> str:
    """A row a check: each answer a bar as high as it was slow (square root, the row's slowest fills it), red if bad.

    The fault is shaded; impact, detection, mitigation and recovery are marked. Empty if nothing was observed.
    """
    rows = {name: recording.series(name) for name in recording.sources if not name.startswith("calls:")}
    if not rows:
        return ""
    begin = min(float(series.at_s[0]) for series in rows.values())
    last = max(float(series.at_s[-1]) for series in rows.values())
    end = max(last, max((e.at_s for e in events), default=begin)) + 0.2
    height = TOP + ROW * len(rows) + 26
    title = f"{sum(map(len, rows.values()))} answers of {', '.join(rows)} over {end - begin:.1f} seconds"
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{html.escape(title)}">',
        *_shade(events, begin, end, height),
    ]
    for number, (name, series) in enumerate(rows.items()):
        parts += _row(name, TOP + ROW * number, series, begin, end)
    parts += _marks(events, begin, end, height)
    parts += _axis(begin, end, height)
    return "".join([*parts, "</svg>"])


def _x(at: float, begin: float, end: float) -> float:
    return LEFT + (WIDTH - LEFT - 12) * (at - begin) / (end - begin)


def _shade(events: Sequence[Event], begin: float, end: float, height: int) -> list[str]:
    """The time from each injection to the revert that follows it."""
    parts: list[str] = []
    since: float | None = None
    for event in sorted(events, key=lambda e: e.at_s):
        if event.kind is EventKind.INJECTED and since is None:
            since = event.at_s
        elif event.kind in (EventKind.REVERTED, EventKind.REVERT_OWED) and since is not None:
            left, right = _x(since, begin, end), _x(event.at_s, begin, end)
            parts.append(
                f'<rect class="fault" x="{left:.1f}" y="{TOP - 6}" width="{right - left:.1f}" '
                f'height="{height - TOP - 14}"><title>fault</title></rect>'
            )
            since = None
    return parts


def _row(name: str, top: int, answers: Series, begin: float, end: float) -> list[str]:
    slowest = float(answers.latency_ms.max()) or 1.0
    base = top + ROW - 8
    parts = [
        f'<text class="name" x="{LEFT - 10}" y="{base - 6}" text-anchor="end">{html.escape(name)}</text>',
        f'<text class="unit" x="{LEFT - 10}" y="{base + 5}" text-anchor="end">max {slowest:,.0f} ms</text>',
        f'<line class="base" x1="{LEFT}" y1="{base}" x2="{WIDTH - 12}" y2="{base}"/>',
    ]
    for o in answers:
        tall = max(2.0, (ROW - 12) * (o.latency_ms / slowest) ** 0.5)
        x = _x(o.at_s, begin, end)
        said = (
            f"{o.latency_ms:,.0f} ms"
            + (f", status {o.status}" if o.status else "")
            + (f", {o.error}" if o.error else "")
        )
        parts.append(
            f'<line class="{"good" if o.ok else "bad"}" x1="{x:.1f}" y1="{base}" x2="{x:.1f}" y2="{base - tall:.1f}">'
            f"<title>{html.escape(said)}</title></line>"
        )
    return parts


def _marks(events: Sequence[Event], begin: float, end: float, height: int) -> list[str]:
    parts: list[str] = []
    last = -100.0
    for event in events:
        if event.kind not in MARKS:
            continue
        x = _x(event.at_s, begin, end)
        parts.append(f'<line class="mark" x1="{x:.1f}" y1="{TOP - 6}" x2="{x:.1f}" y2="{height - 20}"/>')
        if x - last > 58:  # a label that would lie on the one before is left to the line's place
            parts.append(
                f'<text class="mark" x="{x:.1f}" y="{TOP - 10}" text-anchor="middle">{MARKS[event.kind]}</text>'
            )
            last = x
    return parts


def _axis(begin: float, end: float, height: int) -> list[str]:
    step = next(s for s in (1, 2, 5, 10, 30, 60, 300, 3600) if (end - begin) / s <= 12 or s == 3600)
    y = height - 4
    return [
        f'<text class="unit" x="{_x(begin + tick, begin, end):.1f}" y="{y}" text-anchor="middle">{tick} s</text>'
        for tick in range(0, int(end - begin) + 1, step)
    ]
