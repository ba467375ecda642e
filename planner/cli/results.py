"""What was learned: findings, reports, evidence, and the experts' track record."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli.options import Json

if TYPE_CHECKING:
    from executor.state.home import Home

RunName = Annotated[str | None, typer.Argument(metavar="RUN", help="A run's name; default: the latest.")]


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.command()(findings)
    app.command(short_help="Write one run as an HTML page or as Markdown.")(report)
    app.command(short_help="Show a run's evidence, or judge it anew.")(evidence)
    app.command()(experts)


def findings(run: Annotated[str | None, typer.Option(help="Only of this run.")] = None, as_json: Json = False) -> None:
    """List the weaknesses that experiments have shown, newest first."""
    from executor.state.home import Home
    from knowledge.ledger import Ledger
    from planner.cli import results_view
    from planner.cli.output import emit
    from planner.runs import none_yet, unknown

    home = Home.open()
    with Ledger.open(home) as ledger:
        known = {past.run for past in ledger.runs()}
        found = [f for f in ledger.findings() if run in (None, f.run)]
    if run is not None and run not in known:
        raise unknown(home, run)
    if not (known or as_json):
        raise none_yet()
    if as_json:
        emit(found)
    else:
        results_view.findings(found)


def report(
    run: RunName = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="File to write: .html, or .md.")] = Path("report.html"),
) -> None:
    """Write one run as a self-contained page, or as Markdown: verdicts first, evidence as pictures."""
    from executor.state.home import Home
    from planner.cli.output import say
    from planner.report.write import write

    home = Home.open()
    name = run or _latest(home)
    write(home, name, output)
    say(f"Run {name}: {output}")


def evidence(
    run: RunName = None,
    recompute: Annotated[bool, typer.Option("--recompute", help="Judge the recorded observations anew.")] = False,
    as_json: Json = False,
) -> int:
    """Show the evidence of a run; with --recompute, judge its observations again and compare."""
    from executor.run.engine import load_evidence
    from executor.state.home import Home
    from planner.cli import capacity_view, results_view
    from planner.cli.output import emit, say
    from planner.runs import unknown

    home = Home.open()
    name = run or _latest(home)
    found = load_evidence(home, name)
    if found is None:
        raise unknown(home, name)
    if as_json:
        emit(found)
    else:
        results_view.verdicts(found)
        results_view.recovery(found)
        results_view.validations(found)
        capacity_view.capacities(found)
        results_view.outcome(found)
    if recompute:
        from executor.run.rejudge import differences

        changed = differences(home, found)
        say("Judged anew from the observations: everything comes out the same." if not changed else "\n".join(changed))
        return 1 if changed else 0
    return 0


def experts(as_json: Json = False) -> None:
    """Show how well each expert's predictions came true, by who answered for it, and who is worse than its playbook."""
    from executor.state.home import Home
    from experts.track_record import against_offline, track_record
    from knowledge.ledger import Ledger
    from planner.cli import experts_view
    from planner.cli.output import emit

    with Ledger.open(Home.open()) as ledger:
        predictions = list(ledger.predictions())
    record, against = track_record(predictions), against_offline(predictions)
    if as_json:
        emit(
            [
                {**vars(row), "against_offline": vars(found) if (found := against.get(row.expert)) else None}
                for row in record
            ]
        )
    else:
        experts_view.show(record, against)


def _latest(home: Home) -> str:
    from knowledge.ledger import Ledger
    from planner.runs import none_yet

    with Ledger.open(home) as ledger:
        runs = ledger.runs()
    if not runs:
        raise none_yet()
    return max(runs, key=lambda r: r.started).run
