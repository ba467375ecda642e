"""A propagation graph as a picture: who fell when, and from whom it came, as one SVG without script or outside file."""

from __future__ import annotations

import html
from collections.abc import Sequence

from executor.measure.cascade.observed import Cascade, Fallen
from executor.model.wording import many, number
from planner.report.alone import Drawing
from planner.report.picture import LEFT, ROW, TOP, WIDTH

RIGHT = 200
"""Pixels at the right for how often each was seen."""


def propagation(cascade: Cascade) -> Drawing:
    """A row for what was struck and each service at risk, by onset; arrows lead from each callee to who fell by it.

    A dot is the mean onset after the injection, the bar what sampling leaves open; a dashed arrow is a tie. Empty if
    nobody was at risk.
    """
    names = [*cascade.struck, *(each.service for each in cascade.fallen), *cascade.spared, *cascade.untold]
    if len(names) == len(cascade.struck):
        return Drawing()
    last_s = max((each.onset.high for each in cascade.fallen), default=0.0)
    end_s = max(0.1, last_s) * 1.05
    rows = {name: TOP + ROW * nth for nth, name in enumerate(names)}
    height = TOP + ROW * len(names) + 26
    fell = ", ".join(f"{each.service} after {number(each.onset.value)} s" for each in cascade.fallen) or "nobody"
    title = f"What fell after {', '.join(cascade.struck)}: {fell}"
    parts = [f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{html.escape(title)}">']
    parts += _arrows(cascade, rows, end_s)
    for name in cascade.struck:
        parts += [*_name(name, rows[name]), _dot(0.0, rows[name], end_s, "struck"), _said("struck", rows[name])]
    for each in cascade.fallen:
        parts += _fallen(each, rows[each.service], end_s)
    for name in cascade.spared:
        parts += [*_name(name, rows[name]), _said(f"spared in {many(cascade.trials, 'trial')}", rows[name])]
    for name in cascade.untold:
        parts += [*_name(name, rows[name]), _said("cannot be told", rows[name])]
    return Drawing("".join([*parts, *_axis(end_s, height), "</svg>"]))


def _x(at_s: float, end_s: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * at_s / end_s


def _middle(top: int) -> int:
    return top + ROW // 2


def _name(name: str, top: int) -> Sequence[str]:
    y = _middle(top)
    return (
        f'<text class="name" x="{LEFT - 10}" y="{y + 4}" text-anchor="end">{html.escape(name)}</text>',
        f'<line class="base" x1="{LEFT}" y1="{y}" x2="{WIDTH - RIGHT}" y2="{y}"/>',
    )


def _said(text: str, top: int) -> str:
    return f'<text class="unit" x="{WIDTH - RIGHT + 12}" y="{_middle(top) + 4}">{html.escape(text)}</text>'


def _dot(at_s: float, top: int, end_s: float, title: str) -> str:
    x, y = _x(at_s, end_s), _middle(top)
    return f'<circle class="fell" cx="{x:.1f}" cy="{y}" r="5"><title>{html.escape(title)}</title></circle>'


def _fallen(each: Fallen, top: int, end_s: float) -> Sequence[str]:
    y, onset = _middle(top), each.onset
    said = f"{number(onset.value)} s ({number(onset.low)} – {number(onset.high)}) after the injection"
    unexplained = "" if each.hops is not None else ", by no known dependency"
    return (
        *_name(each.service, top),
        f'<line class="bad" x1="{_x(onset.low, end_s):.1f}" y1="{y}" x2="{_x(onset.high, end_s):.1f}" y2="{y}"/>',
        _dot(onset.value, top, end_s, said),
        _said(f"in {each.seen.good} of {many(each.seen.n, 'trial')}{unexplained}", top),
    )


def _arrows(cascade: Cascade, rows: dict[str, int], end_s: float) -> list[str]:
    began = {**dict.fromkeys(cascade.struck, 0.0), **{each.service: each.onset.value for each in cascade.fallen}}
    parts: list[str] = []
    for each in cascade.fallen:
        link = cascade.cause(each.service)
        if link is None:
            continue
        x1, y1 = _x(began[link.way.callee], end_s), _middle(rows[link.way.callee])
        x2, y2 = _x(began[each.service], end_s), _middle(rows[each.service])
        kind = "mark" if link.ties else "way"
        said = f"{link.way.callee} to {each.service}, in {link.seen.good} of {many(link.seen.n, 'trial')}"
        parts.append(
            f'<line class="{kind}" x1="{x1:.1f}" y1="{y1}" x2="{x2:.1f}" y2="{y2}">'
            f"<title>{html.escape(said + (', a tie' if link.ties else ''))}</title></line>"
        )
    return parts


def _axis(end_s: float, height: int) -> list[str]:
    step = next(s for s in (0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300) if end_s / s <= 12 or s == 300)
    return [
        f'<text class="unit" x="{_x(tick * step, end_s):.1f}" y="{height - 4}" text-anchor="middle">'
        f"{number(tick * step)} s</text>"
        for tick in range(int(end_s / step) + 1)
    ]
