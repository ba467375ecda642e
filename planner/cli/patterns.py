"""``murphy patterns``: which weaknesses come with which technology and position, and what recovery depends on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from planner.cli.options import Json

if TYPE_CHECKING:
    from knowledge.patterns.frequent import Frequent
    from knowledge.patterns.recovery import Level, RecoveryPattern
    from planner.mined import Patterns

SHOWN_MAX = 15


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command(short_help="Say what weaknesses and slow recoveries have in common.")(patterns)


def patterns(
    system: Annotated[str | None, typer.Option("--system", help="Only runs of the system of this name.")] = None,
    as_json: Json = False,
) -> None:
    """Say which weaknesses come with which technology and position, and under what recovery is faster or slower.

    Over all recorded runs. What may be chance is said to be. murphy trends says what changed from run to run.
    """
    from executor.state.home import Home
    from planner.cli.output import emit
    from planner.mined import mined_patterns

    found = mined_patterns(Home.open(), system)
    if as_json:
        emit(_told(found))
    else:
        _show(found)


def _show(found: Patterns) -> None:
    from executor.model.wording import many
    from knowledge.patterns.frequent import PLACES_MIN, RUNS_MIN
    from knowledge.patterns.recovery import EACH_MIN
    from planner.cli.output import heading, out

    sets, slow = found.frequent, found.recovery
    heading(f"Weaknesses, over {many(sets.runs, 'run')} and {many(sets.places, 'place')}")
    if not sets.enough:
        out.print(f"Too few runs: from {RUNS_MIN} on they are said to have something in common.")
    elif not sets.sets:
        out.print(f"No weakness broke at {PLACES_MIN} places or more of one sort.")
    else:
        _sets(sets.sets)
    heading(f"Recovery, over {many(slow.runs, 'run')} and {many(len(slow.recoveries), 'experiment')} that hurt")
    if not slow.enough:
        out.print(f"Too few: from {RUNS_MIN} runs and {2 * EACH_MIN} recoveries on they are compared.")
    elif not slow.patterns:
        out.print(f"Nothing to compare: no circumstance has {EACH_MIN} recoveries on either side.")
    else:
        _recoveries(slow.patterns)
    out.print(f"\nWhat changed from run to run: murphy trends {found.systems[0]}", style="quiet", markup=False)


def _sets(sets: tuple[Frequent, ...]) -> None:
    from rich.markup import escape

    from executor.model.wording import many, named, number, percent
    from planner.cli.output import out
    from planner.cli.results_view import table

    rows = table("weakness", "where", "broke at", "support", "lift", "")
    for each in sets[:SHOWN_MAX]:
        where = ", ".join(f"{name} {named(value)}" for name, value in each.items)
        rows.add_row(
            named(each.weakness.value),
            escape(where),
            f"{each.broke.good} of {each.broke.n} places ({percent(each.broke.low)} to {percent(each.broke.high)}), "
            f"{many(each.runs, 'run')}",
            percent(each.support),
            number(each.lift),
            "" if each.certain else "[quiet]may be chance[/quiet]",
        )
    out.print(rows)


def _recoveries(found: tuple[RecoveryPattern, ...]) -> None:
    from rich.markup import escape

    from executor.model.wording import many, named
    from planner.cli.output import out
    from planner.cli.results_view import table

    rows = table("where", "back after (median)", "elsewhere", "", "")
    for each in found[:SHOWN_MAX]:
        never = f", {each.never} never" if each.never else ""
        rows.add_row(
            escape(f"{each.factor} {named(each.value)}"),
            f"{_level(each.there)}{never}, {many(each.runs, 'run')}",
            _level(each.elsewhere),
            "slower" if each.slower else "faster",
            "" if each.certain else "[quiet]may be chance[/quiet]",
        )
    out.print(rows)


def _level(level: Level) -> str:
    from executor.model.wording import duration

    def told(seconds: float | None) -> str:
        return "?" if seconds is None else "never" if math.isinf(seconds) else duration(seconds)

    return f"{told(level.median_s)} ({told(level.low_s)} to {told(level.high_s)}, n={level.n})"


def _told(found: Patterns) -> dict[str, Any]:
    return {
        "systems": list(found.systems),
        "frequent": {
            "runs": found.frequent.runs,
            "places": found.frequent.places,
            "enough": found.frequent.enough,
            "sets": [
                {
                    "weakness": each.weakness.value,
                    "items": dict(each.items),
                    "broke": each.broke.good,
                    "places": each.broke.n,
                    "interval": [each.broke.low, each.broke.high],
                    "support": each.support,
                    "lift": each.lift,
                    "p_value": each.p_value,
                    "certain": each.certain,
                    "runs": each.runs,
                    "systems": each.systems,
                }
                for each in found.frequent.sets
            ],
        },
        "recovery": {
            "runs": found.recovery.runs,
            "recoveries": len(found.recovery.recoveries),
            "enough": found.recovery.enough,
            "patterns": [
                {
                    "factor": each.factor,
                    "value": each.value,
                    "there": _numbers(each.there),
                    "elsewhere": _numbers(each.elsewhere),
                    "never": each.never,
                    "runs": each.runs,
                    "slower": each.slower,
                    "p_value": each.p_value,
                    "certain": each.certain,
                }
                for each in found.recovery.patterns
            ],
        },
    }


def _numbers(level: Level) -> dict[str, float | None]:
    """JSON has no infinity: a recovery that was never seen is null, as one that is not known."""
    return {name: value if value is None or math.isfinite(value) else None for name, value in vars(level).items()}
