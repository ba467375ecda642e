"""``murphy audit``: the trail of who did what, checked, shown, and handed on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from planner.cli.options import Json

NOT_INTACT = 1


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    audit = typer.Typer(help="The trail of who did what.", no_args_is_help=True)
    audit.command(short_help="Check that nobody has altered the trail.")(verify)
    audit.command()(show)
    audit.command(short_help="Write the trail as JSON Lines, to be kept elsewhere.")(export)
    app.add_typer(audit, name="audit")


def verify(
    head: Annotated[str | None, typer.Option(help="Hash of a row seen earlier, which must still be there.")] = None,
    file: Annotated[Path | None, typer.Option(help="Check an exported trail instead, by itself.")] = None,
    as_json: Json = False,
) -> int:
    """Check that no row of the audit trail was edited, removed, inserted or moved; exit code 1 if one was.

    Somebody who may write the state directory could rewrite trail and anchor together: keep the last hash, or an
    export, where they cannot write, and compare with --head.
    """
    from executor.state import audit
    from executor.state.home import Home
    from planner.cli.output import emit, say

    found = audit.verify_file(file, head=head) if file else audit.verify(Home.open(), head=head)
    if as_json:
        emit({"intact": found.intact, "entries": found.entries, "head": found.head, "faults": found.faults})
    elif found.intact:
        say(f"Intact: {found.entries} rows, the last with hash {found.head}.")
    else:
        say("Not intact: " + "; ".join(found.faults) + ".")
    return 0 if found.intact else NOT_INTACT


def show(
    last: Annotated[int, typer.Option(min=1, help="So many of the latest rows.")] = 40, as_json: Json = False
) -> None:
    """Show the latest rows of the audit trail."""
    from executor.state import audit
    from executor.state.home import Home
    from planner.cli.output import emit, out

    rows = audit.entries(Home.open())[-last:]
    if as_json:
        emit([vars(row) for row in rows])
        return
    for row in rows:
        detail = ", ".join(f"{key} {value}" for key, value in row.detail.items())
        out.print(f"{row.seq:>6}  {row.at[:19]}  {row.who:<10} {row.what:<14} {detail}", markup=False, soft_wrap=True)


def export(
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="File to write; default: standard output.")
    ] = None,
) -> None:
    """Write the whole trail as JSON Lines; murphy audit verify --file checks such a file without anything else."""
    from executor.errors import InputError
    from executor.state import audit
    from executor.state.durable import write
    from executor.state.home import Home

    lines = "".join(f"{line}\n" for line in audit.export(Home.open()))
    if output is None:
        print(lines, end="")  # noqa: T201 - whatever rich would make of it is no longer what was hashed
        return
    try:
        write(output, lines.encode())
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}.", where=str(output)) from None
