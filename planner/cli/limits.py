"""``murphy limits``: what the operator allows here, as a file that can be kept and edited."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from planner.cli.options import Json


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.command(short_help="Show the limits in force, as a limits.toml.")(limits)


def limits(
    path: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="Check this file instead.")] = None,
    as_json: Json = False,
) -> None:
    """Show the limits in force here, every key with its meaning: murphy limits > limits.toml begins a file of yours."""
    from executor.model.digest import digest
    from executor.safety.limits import in_force, load_limits, to_toml
    from planner.cli.output import emit

    found, where = load_limits(path), in_force(path)
    if as_json:
        emit({"source": where, "digest": digest(found), "limits": found})
    else:
        typer.echo(f"# In force: {where}; {digest(found)}.\n{to_toml(found)}", nl=False)
