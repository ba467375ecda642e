"""Evidence as pictures: one SVG an experiment, drawn from its observations, no script and no outside file."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence

import numpy as np

from executor.measure.columns import Answer, Recording, Series
from executor.measure.writing import FOUND
from executor.model.evidence import Event, EventKind
from executor.model.wording import duration
from planner.report.alone import Drawing

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
SPANS = {"time to detect": (EventKind.DETECTED, "MTTD"), "time to recover": (EventKind.RECOVERED, "MTTR")}
"""Until the first event of each kind, in each trial, and what their mean is called."""
SPAN = 20


def timeline(recording: Recording, events: Sequence[Event]) -> Drawing:
    """A row a check: each answer a bar as high as it was slow (square root, the row's slowest fills it), red if bad.

    Of the good answers of one pixel, and of the bad ones, the slowest is drawn. The fault is shaded; impact, detection,
    mitigation and recovery are marked, and below are the times from each trial's injection to the first signal that
    noticed and until all checks had recovered, of which MTTD and MTTR are the means. Empty if nothing was observed.
    """
    rows = asked(recording)
    if not rows:
        return Drawing()
    begin = min(float(series.at_s[0]) for series in rows.values())
    last = max(float(series.at_s[-1]) for series in rows.values())
    end = max(last, max((e.at_s for e in events), default=begin)) + 0.2
    spans = {name: found for name, (kind, _) in SPANS.items() if (found := _until(kind, events))}
    height = TOP + ROW * len(rows) + SPAN * len(spans) + 26
    title = f"{sum(map(len, rows.values()))} answers of {', '.join(rows)} over {end - begin:.1f} seconds"
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{html.escape(title)}">',
        *_shade(events, begin, end, height),
    ]
    for number, (name, series) in enumerate(rows.items()):
        parts += _row(name, TOP + ROW * number, series, begin, end)
    for number, (name, found) in enumerate(spans.items()):
        parts += _spans(name, TOP + ROW * len(rows) + SPAN * number, found, begin, end)
    parts += _marks(events, begin, end, height)
    parts += _axis(begin, end, height)
    return Drawing("".join([*parts, "</svg>"]))


def asked(recording: Recording) -> dict[str, Series]:
    """The answers of all that was asked, by source: no counters, and no records that a reading found."""
    found = {name: recording.series(name) for name in recording.sources if not name.startswith(("calls:", FOUND))}
    return {name: series for name, series in found.items() if len(series)}


def _x(at: float, begin: float, end: float) -> float:
    return LEFT + (WIDTH - LEFT - 12) * (at - begin) / (end - begin)


def _faults(events: Sequence[Event], end: float) -> Iterator[tuple[int | None, float, float]]:
    """Each trial with a fault, from when the first was there until the last was gone; to the end if one never was."""
    over = (EventKind.REVERTED, EventKind.REVERT_OWED)
    for trial in sorted({e.trial for e in events if e.kind is EventKind.INJECTED}, key=lambda trial: trial or 0):
        own = [event for event in events if event.trial == trial]
        since = min(event.at_s for event in own if event.kind is EventKind.INJECTED)
        yield trial, since, max((event.at_s for event in own if event.kind in over), default=end)


def _shade(events: Sequence[Event], begin: float, end: float, height: int) -> list[str]:
    parts: list[str] = []
    for _, since, until in _faults(events, end):
        left, right = _x(since, begin, end), _x(until, begin, end)
        parts.append(
            f'<rect class="fault" x="{left:.1f}" y="{TOP - 6}" width="{right - left:.1f}" '
            f'height="{height - TOP - 14}"><title>fault</title></rect>'
        )
    return parts


def _until(kind: EventKind, events: Sequence[Event]) -> list[tuple[int | None, float, float]]:
    """Of each trial in which it came: from the injection to its first event of a kind, seconds since the run began."""
    found = []
    for trial, since, _ in _faults(events, 0.0):
        came = [event.at_s for event in events if event.kind is kind and event.trial == trial]
        if came:
            found.append((trial, since, min(came)))
    return found


def _spans(
    name: str, top: int, found: Sequence[tuple[int | None, float, float]], begin: float, end: float
) -> list[str]:
    y = top + SPAN - 8
    parts = [
        f'<text class="name" x="{LEFT - 10}" y="{y + 2}" text-anchor="end">{name}</text>',
        f'<line class="base" x1="{LEFT}" y1="{y}" x2="{WIDTH - 12}" y2="{y}"/>',
    ]
    for trial, since, until in found:
        left, right = _x(since, begin, end), _x(max(since, until), begin, end)
        lasted = duration(max(0.0, until - since))
        said = f"{name} in trial {trial}: {lasted}; the mean over trials is the {SPANS[name][1]}"
        parts.append(
            f'<rect class="span" x="{left:.1f}" y="{y - 4}" width="{max(1.0, right - left):.1f}" height="8">'
            f"<title>{said}</title></rect>"
            f'<text class="mark" x="{min(right + 3, WIDTH - 56):.1f}" y="{y + 3}">{lasted}</text>'
        )
    return parts


def _row(name: str, top: int, answers: Series, begin: float, end: float) -> list[str]:
    slowest = float(answers.latency_ms.max()) or 1.0
    base = top + ROW - 8
    parts = [
        f'<text class="name" x="{LEFT - 10}" y="{base - 6}" text-anchor="end">{html.escape(name)}</text>',
        f'<text class="unit" x="{LEFT - 10}" y="{base + 5}" text-anchor="end">max {slowest:,.0f} ms</text>',
        f'<line class="base" x1="{LEFT}" y1="{base}" x2="{WIDTH - 12}" y2="{base}"/>',
    ]
    for o, others in _slowest(answers, begin, end):
        tall = max(2.0, (ROW - 12) * (o.latency_ms / slowest) ** 0.5)
        x = _x(o.at_s, begin, end)
        said = (
            f"{o.latency_ms:,.0f} ms"
            + (f", status {o.status}" if o.status else "")
            + (f", {o.error}" if o.error else "")
            + (f"; {others} faster ones beside it" if others else "")
        )
        parts.append(
            f'<line class="{"good" if o.ok else "bad"}" x1="{x:.1f}" y1="{base}" x2="{x:.1f}" y2="{base - tall:.1f}">'
            f"<title>{html.escape(said)}</title></line>"
        )
    return parts


def _slowest(answers: Series, begin: float, end: float) -> Iterator[tuple[Answer, int]]:
    """Of each pixel the slowest good answer and the slowest bad one, by time, and how many others it stands for.

    A run may have millions of answers, and nobody could tell apart what lies on one pixel.
    """
    pixels = ((answers.at_s - begin) / (end - begin) * (WIDTH - LEFT - 12)).astype(np.int64)
    cells = 2 * pixels + answers.ok
    order = np.lexsort((answers.latency_ms, cells))
    last = np.flatnonzero(np.diff(cells[order], append=-1))
    counts, places = np.diff(last, prepend=-1), order[last]
    by_time = np.argsort(places)
    drawn = answers.where(places[by_time].astype(np.int32))
    yield from zip(drawn, (counts[by_time] - 1).tolist(), strict=True)


def _marks(events: Sequence[Event], begin: float, end: float, height: int) -> list[str]:
    parts: list[str] = []
    last = -100.0
    for event in events:
        if event.kind not in MARKS:
            continue
        x = _x(event.at_s, begin, end)
        said = f"{MARKS[event.kind]} at {event.at_s - begin:.2f} s: {event.detail}"
        parts.append(
            f'<line class="mark" x1="{x:.1f}" y1="{TOP - 6}" x2="{x:.1f}" y2="{height - 20}">'
            f"<title>{html.escape(said)}</title></line>"
        )
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
