"""``murphy halt``, ``resume`` and ``recover``: end everything now, and leave nothing behind. These answer at once."""

from __future__ import annotations

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="For programs.")]


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.command()(halt)
    app.command()(resume)
    app.command()(recover)
