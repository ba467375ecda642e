"""Resilience scores and trends on the terminal, and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape

from executor.model.wording import many, named, percent
from knowledge.resilience.change_points import ALPHA, SHOWN_MIN
from knowledge.resilience.measures import Dimension
from knowledge.resilience.score import Coverage, Score
from knowledge.resilience.scoring import Scoring
from knowledge.resilience.trends import SCORE, UNITS, Change, Point, Trends
from planner.cli.output import out as terminal
from planner.cli.results_view import table
from planner.resilience import Scored

NOT_TESTED = "–"


def show(found: Scored, scoring: Scoring, out: Console = terminal) -> None:
    """The system's row, one a service; what is left out, what other tools would say, and how it was reckoned."""
    covered = found.coverage
    tested = "coverage unknown, since the run has kept no system"
    if covered is not None:
        what = "hypothesis" if covered.applicable == 1 else "hypotheses"
        tested = f"{covered.tested} of {covered.applicable} applicable {what} tested ({_percent(covered)})"
    out.print(f"[head]Resilience of {escape(found.run.system)}[/head] in run {escape(found.run.run)}: {tested}.")
    if found.system is None:
        out.print(
            "No score: the run measured nothing, or an older Murphy recorded it. A system that was not tested has none."
        )
        return
    rows = table("", "score, 0–1", *(dimension.value for dimension in Dimension), "tested")
    rows.add_row(f"[head]{escape(found.run.system)}[/head]", *_cells(found.system), _percent(covered))
    for service in found.services:
        rows.add_row(escape(service.of), *_cells(service), _percent(found.coverages.get(service.of)))
    out.print(rows)
    if left := found.system.untested:
        out.print(f"Not tested, and left out: {', '.join(dimension.value for dimension in left)}.")
    others = [f"Litmus {found.litmus:g} %"] if found.litmus is not None else []
    others += [f"Krkn {found.krkn} %"] if found.krkn is not None else []
    if others:
        out.print(f"What the formulas of other tools give for this run: {', '.join(others)}.")
    for line in scoring.words():
        out.print(line, style="quiet")


def show_trends(name: str, found: Trends, out: Console = terminal) -> None:
    """One row a run, oldest first; then a sentence for each change."""
    shown = [d.value for d in Dimension if any(d.value in point.figures for point in found.points)]
    rows = table("run", "when", "score, 0–1", *(_head(figure) for figure in shown))
    for point in found.points:
        run = escape(point.run.run) if point.comparable else f"[quiet]{escape(point.run.run)} (other tests)[/quiet]"
        cells = [_figure(point, figure) for figure in shown]
        told = _value(point.score) if point.score else NOT_TESTED
        rows.add_row(run, f"{point.run.started:%Y-%m-%d %H:%M}", told, *cells)
    out.print(f"[head]Resilience of {escape(name)} over {many(len(found.points), 'run')}[/head]")
    out.print(rows)
    for change in found.changes:
        out.print(_sentence(change))
    if not found.changes:
        enough = found.comparable >= SHOWN_MIN
        why = "" if enough else f" It takes {SHOWN_MIN} comparable runs, better a dozen, to show one."
        out.print(f"No change is certain in {many(found.comparable, 'comparable run')}.{why}")
    out.print(
        "Comparable are the runs that tried what the latest completed one tried. In a system that never changed, the "
        f"chance that any change is reported is at most {percent(ALPHA)}.",
        style="quiet",
    )


def score_json(found: Scored, scoring: Scoring) -> dict[str, Any]:
    """For programs."""
    return {
        "run": found.run.run,
        "system": None if found.system is None else _json(found.system, found.coverage),
        "services": [_json(service, found.coverages.get(service.of)) for service in found.services],
        "litmus_percent": found.litmus,
        "krkn_percent": found.krkn,
        "scoring": scoring,
    }


def trends_json(name: str, found: Trends) -> dict[str, Any]:
    """For programs."""
    return {
        "system": name,
        "runs": [
            {
                "run": point.run.run,
                "started": point.run.started.isoformat(),
                "comparable": point.comparable,
                "low": None if point.score is None else point.score.low,
                "high": None if point.score is None else point.score.high,
                **{figure: point.figures.get(figure) for figure in (SCORE, *Dimension)},
            }
            for point in found.points
        ],
        "changes": [
            {
                "figure": change.figure,
                "unit": change.unit,
                "run": change.run.run,
                "before": change.point.before,
                "after": change.point.after,
                "better": change.better,
                "p_value": change.point.p_value,
            }
            for change in found.changes
        ],
    }


def _json(score: Score, coverage: Coverage | None) -> dict[str, Any]:
    parts: Mapping[Dimension, Any] = score.parts
    return {
        "of": score.of,
        "score": score.value,
        "low": score.low,
        "high": score.high,
        "dimensions": {dimension.value: vars(part) for dimension, part in parts.items()},
        "untested": [dimension.value for dimension in score.untested],
        "coverage": None if coverage is None else {**vars(coverage), "share": coverage.share},
    }


def _cells(score: Score) -> list[str]:
    parts = [score.parts.get(dimension) for dimension in Dimension]
    return [_value(score), *(NOT_TESTED if part is None else f"{part.value:.2f}" for part in parts)]


def _value(score: Score) -> str:
    return f"{score.value:.2f} ({score.low:.2f}–{score.high:.2f})"


def _percent(coverage: Coverage | None) -> str:
    return "" if coverage is None else percent(coverage.share)


def _head(figure: str) -> str:
    unit = UNITS.get(Dimension(figure))
    return f"{figure}, {unit}" if unit else figure


def _figure(point: Point, figure: str) -> str:
    return f"{point.figures[figure]:.3g}" if figure in point.figures else NOT_TESTED


def _sentence(change: Change) -> str:
    style = "holds" if change.better else "breaks"
    unit = f" {change.unit}" if change.unit else ""
    return (
        f"[{style}]{'Better' if change.better else 'Worse'}[/{style}]: {named(change.figure)} went from "
        f"{change.point.before:.3g}{unit} to {change.point.after:.3g}{unit} with run {escape(change.run.run)} "
        f"({change.run.started:%Y-%m-%d}), p = {change.point.p_value:.2g}."
    )
