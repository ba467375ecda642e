"""``murphy doctor``: what works here, what does not, what would make it work."""

from __future__ import annotations

import dataclasses

import typer

from planner.cli.options import Json


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.command()(doctor)


def doctor(as_json: Json = False) -> int:
    """Say what this machine can and cannot do, and why. Exit code 2 if Murphy cannot run here at all."""
    from rich.table import Table

    from planner.cli.output import emit, out
    from planner.doctor import examine

    found = examine()
    if as_json:
        emit([dataclasses.asdict(diagnosis) for diagnosis in found])
    else:
        table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
        for diagnosis in found:
            mark = "[holds]yes[/holds]" if diagnosis.works else "[inconclusive]no[/inconclusive]"
            table.add_row(mark, diagnosis.what, diagnosis.detail, "" if diagnosis.works else diagnosis.remedy)
        out.print(table)
    return 0 if all(d.works for d in found if d.needed) else 2
