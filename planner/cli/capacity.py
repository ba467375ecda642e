"""``murphy breaking-point``: a plan that finds how much a service carries."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from planner.cli.options import PlanOutput
from planner.cli.plan import SystemFile


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.command("breaking-point", short_help="Plan to find the largest load that a service carries.")(breaking_point)


def breaking_point(
    service: Annotated[str, typer.Argument(help="The service; one of its instances gets the load.")],
    system: SystemFile = Path("system.yaml"),
    path: Annotated[str | None, typer.Option(help="What is asked for; default: its most important operation.")] = None,
    within: Annotated[
        float | None, typer.Option(min=1, max=10_000, help="An answer is good within so many ms; default: its SLO.")
    ] = None,
    share: Annotated[
        float | None, typer.Option(min=0.5, max=0.999, help="Share that must be good; default: its SLO.")
    ] = None,
    at_least: Annotated[
        float | None, typer.Option(min=1, max=5_000, help="Requests/s that it was promised to carry.")
    ] = None,
    start: Annotated[float, typer.Option(min=1, max=5_000, help="The first rate, requests/s.")] = 10,
    up_to: Annotated[float, typer.Option(min=1, max=5_000, help="Never more requests/s than this.")] = 500,
    seconds: Annotated[float, typer.Option(min=10, max=3_600, help="A search ends after so long at the latest.")] = 180,
    under: Annotated[
        str | None,
        typer.Option(
            metavar="FAULT", help="Again under this fault, in several strengths: network.latency:delay_ms=90."
        ),
    ] = None,
    at: Annotated[
        str | None, typer.Option(metavar="PLACE", help="Where that fault is; default: the calls to its one dependency.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, max=10, help="In how many strengths.")] = 3,
    output: PlanOutput = Path("plan.json"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan for programs as well.")] = False,
) -> None:
    """Write a plan that raises the load on a service until it no longer keeps its promise, then looks beyond that.

    Nothing is run: it is overload, so it takes an approval like every plan. murphy evidence shows what was found.
    """
    from executor.person import whoami
    from knowledge.topology.annotations import load_system
    from planner import breaking_point as planned
    from planner import files
    from planner.cli import plan_view
    from planner.cli.output import emit, out

    wanted = planned.Wanted(service, path, within, share, at_least, start, up_to, seconds, under, at, steps)
    plan = planned.plan(wanted, load_system(system), proposer=whoami())
    files.save(plan, output)
    if as_json:
        emit(plan)
        return
    out.print(f"[head]Plan {plan.id}[/head] ({output})")
    out.print(plan_view.overview(plan))
    plan_view.written(output)
