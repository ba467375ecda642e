"""How resilient a system is: the score of a run, and what became of it over all runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli.options import Json

if TYPE_CHECKING:
    from knowledge.resilience.scoring import Scoring

Weights = Annotated[
    Path | None, typer.Option("--scoring", help="TOML file with other weights, promises or floor than the usual.")
]


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.command(short_help="Say how resilient a system was in a run, from 0 to 1.")(score)
    app.command(short_help="Show the score and its figures over all runs, and where they changed.")(trends)


def score(
    run: Annotated[str | None, typer.Argument(metavar="RUN", help="A run's name; default: the latest.")] = None,
    scoring: Weights = None,
    as_json: Json = False,
) -> None:
    """Say how resilient a system and its services were in a run: score, interval, dimensions and coverage."""
    from executor.state.home import Home
    from planner.cli import score_view
    from planner.cli.output import emit
    from planner.resilience import scored

    settings = _scoring(scoring)
    found = scored(Home.open(), run, settings)
    if as_json:
        emit(score_view.score_json(found, settings))
    else:
        score_view.show(found, settings)


def trends(
    system: Annotated[
        str | None, typer.Argument(metavar="SYSTEM", help="A system's name; default: that of the latest run.")
    ] = None,
    scoring: Weights = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Draw it, as SVG.")] = None,
    as_json: Json = False,
) -> None:
    """Show the resilience score and the figures behind it over a system's runs, and how good its predictions were."""
    from executor.state.home import Home
    from knowledge.ledger import Ledger
    from knowledge.twin.calibration import foretold
    from planner.cli import foretold_view, score_view
    from planner.cli.output import emit
    from planner.resilience import over_time

    home = Home.open()
    name, found = over_time(home, system, _scoring(scoring))
    with Ledger.open(home) as ledger:
        told = foretold(ledger, name)
    if output is not None:
        from planner.report.alone import alone
        from planner.report.score_trend import score_trend
        from planner.report.write import put

        put(alone(score_trend(name, found)), output)
    if as_json:
        emit({**score_view.trends_json(name, found), "predictions": foretold_view.as_json(told)})
    else:
        score_view.show_trends(name, found)
        foretold_view.show(told)


def _scoring(path: Path | None) -> Scoring:
    from knowledge.resilience.scoring import Scoring
    from planner.files import load_scoring

    return Scoring() if path is None else load_scoring(path)
