"""``murphy run``: carry out an approved plan, live, and learn from it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from executor.errors import InputError
from planner.cli.options import LimitsFile

if TYPE_CHECKING:
    from executor.model.evidence import Evidence

HELD, FOUND, STOPPED, OWED, INTERRUPTED = 0, 1, 3, 4, 130


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.command()(run)


def run(
    path: Annotated[Path, typer.Argument(metavar="PLAN", help="A plan's file.")] = Path("plan.json"),
    approval: Annotated[Path | None, typer.Option(help="Its approval; default: beside the plan.")] = None,
    system: Annotated[
        Path | None,
        typer.Option("--system", help="The system; it must be as it was planned for. Default: system.yaml."),
    ] = None,
    limits: LimitsFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the evidence for programs.")] = False,
) -> int:
    """Carry out an approved plan under the guard. Ctrl-C undoes everything and says so."""
    from executor.safety.drift import refuse_drift
    from executor.safety.limits import in_force, load_limits
    from executor.state.home import Home
    from knowledge.topology.annotations import load_system
    from planner import files

    home, plan, allowed = Home.open(), files.load_plan(path), load_limits(limits)
    signed = approval or files.approval_path(path)
    if not signed.exists():
        raise InputError("the plan is not approved.", where=str(path), hint=f"murphy approve {path} signs it.")
    granted = files.load_approval(signed)

    # What takes seconds to load waits until there is something to run.
    from planner.cli import results_view
    from planner.cli.interrupt import stopping
    from planner.cli.live import Live
    from planner.cli.output import emit, err, heading, out
    from planner.session import Session

    session = Session.find(home, plan)
    written = system or Path("system.yaml")
    if session is None:
        session = Session.adopt(home, plan, load_system(written), limits=allowed)
    elif system or written.exists():  # what its owner has written there since, say that a service is protected, counts
        now = load_system(written)
        if system or now.name == plan.system_name:
            refuse_drift(plan, now, session.system)
    (err if as_json else out).print(f"Limits in force: {in_force(limits)}.", soft_wrap=True)
    with stopping() as stop, Live(plan, err if as_json else out) as live:
        result = session.carry_out(granted, limits=allowed, report=live, stop=stop)
    if as_json:
        emit(result.evidence)
    else:
        heading("Findings")
        results_view.findings(result.findings)
        if result.next_ideas:
            heading("What comes next")
            for idea in result.next_ideas:
                out.print(f"· {idea}", markup=False, soft_wrap=True)
        results_view.outcome(result.evidence)
        out.print(f"[head]murphy report {result.evidence.run} -o report.html[/head] shows the whole of it.")
    return exit_code(result.evidence, found=bool(result.findings))


def exit_code(evidence: Evidence, *, found: bool) -> int:
    """The documented exit code of a run: owed before interrupted before stopped before found before held."""
    if evidence.owed:
        return OWED
    if evidence.outcome == "interrupted":
        return INTERRUPTED
    if evidence.outcome in ("aborted", "halted"):
        return STOPPED
    return FOUND if found else HELD
