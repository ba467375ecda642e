"""How good predictions were, on the terminal and as JSON."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from executor.model.wording import many
from knowledge.calibration import Calibration
from knowledge.twin.calibration import Foretold
from planner.cli.output import out as terminal
from planner.cli.results_view import table

_NAMES = (("twin", "the twin"), ("plans", "experts and twin together"))


def show(found: Foretold, out: Console = terminal) -> None:
    """A row for the twin and one for all together; then the twin's calibration. Nothing before there is a verdict."""
    told = [(name, each) for field, name in _NAMES if (each := getattr(found, field)) is not None]
    if not told:
        return
    out.print("[head]What was foretold of its runs, and what came true[/head]")
    rows = table("by", "predictions", "Brier", "log score", "skill", "came true")
    for name, each in told:
        rows.add_row(
            name,
            str(each.n),
            f"{each.brier:.3f}",
            f"{each.log_score:.3f}",
            f"{each.skill:.2f}",
            f"{each.came_true:.0%}",
        )
    out.print(rows)
    if found.twin is not None:
        out.print(_curve(found.twin))
    out.print(
        "Brier and log score: lower is better. A coin that always says 50 % scores 0.250 and 0.693. Skill: 1 is "
        "perfect, 0 as good as always saying the share that came true.",
        style="quiet",
    )


def as_json(found: Foretold) -> dict[str, Any]:
    """For programs."""
    return {field: None if (each := getattr(found, field)) is None else _json(each) for field, _ in _NAMES}


def _curve(found: Calibration) -> str:
    points = [
        f"{each.said:.0%} → {each.came_true:.0%} of {each.n}{'' if each.fits else ' (off)'}" for each in found.bins
    ]
    off = sum(not each.fits for each in found.bins)
    verdict = "all within chance" if not off else f"{many(off, 'bin')} off by more than chance"
    return f"Calibration of the twin, said → came true: {', '.join(points)}; {verdict}."


def _json(found: Calibration) -> dict[str, Any]:
    bins = [
        {"said": b.said, "came_true": b.came_true, "low": b.interval[0], "high": b.interval[1], "n": b.n}
        for b in found.bins
    ]
    return {
        "n": found.n,
        "brier": found.brier,
        "log_score": found.log_score,
        "skill": found.skill,
        "came_true": found.came_true,
        "bins": bins,
    }
