"""``murphy discover``: from what runs on this machine to ``system.yaml``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from executor.errors import InputError
from executor.model.vocabulary import Environment

_NAME = "[a-z0-9][a-z0-9._-]{0,62}"


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.command()(discover)


def discover(
    live: Annotated[bool, typer.Option("--live", help="Look at the processes and sockets of this machine.")] = False,
    tree: Annotated[int | None, typer.Option(help="Only this process and its descendants.")] = None,
    port: Annotated[list[int] | None, typer.Option(help="Only processes that listen on this port; repeatable.")] = None,
    command: Annotated[str | None, typer.Option(help="Only command lines like this, for instance '*catalog*'.")] = None,
    window: Annotated[float, typer.Option(min=0.1, max=600, help="Seconds to watch for calls.")] = 3.0,
    name: Annotated[str, typer.Option(help="What to call the system.")] = "local",
    environment: Annotated[Environment, typer.Option(help="Where it runs.")] = Environment.DEVELOPMENT,
    annotations: Annotated[
        Path | None, typer.Option(help="What only you know: operations, criticality, names.")
    ] = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="File to write.")] = Path("system.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the system for programs instead of writing it.")
    ] = False,
) -> None:
    """Find services, their instances, and who calls whom. Changes nothing; asks each operation a few times."""
    if not live:
        raise InputError("nothing says where to look.", where="discover", hint="Give --live.")
    if not re.fullmatch(_NAME, name):
        raise InputError(
            f"{name!r} cannot be a system's name.",
            where="--name",
            hint="Use lower case letters, digits, dots, dashes and underscores, at most 63.",
        )
    if output.exists() and not force and not as_json:
        raise InputError(
            "is there already.", where=str(output), hint="Give --force to write over it, or -o another file."
        )

    from executor.model.system import System
    from knowledge.topology.annotations import annotate, load_annotations, save_system
    from knowledge.topology.exercise import observe_exercises
    from knowledge.topology.live import Scope
    from knowledge.topology.live import discover as look
    from knowledge.topology.operations import with_operations
    from planner.cli import system_view
    from planner.cli.output import emit, err, out

    known = load_annotations(annotations) if annotations else None
    scope = Scope(tree_of=tree, ports=tuple(port or ()), command=command)
    with err.status("watching processes and sockets…"):
        found = look(scope, window, name=name)
        found = System.model_validate({**found.model_dump(), "environment": environment})
        found = with_operations(annotate(found, known) if known else found)
    with err.status("asking each operation, to see which edges it uses…"):
        found = observe_exercises(found)
    if as_json:
        emit(found)
        return
    save_system(found, output)
    system_view.show(found)
    if not found.dependencies:
        out.print(f"No calls were seen in {window:g} s: send traffic, or give a longer --window.", style="inconclusive")
    out.print(f'\nWritten to {output}. Next: [head]murphy plan --system {output} --goal "…"[/head]')
