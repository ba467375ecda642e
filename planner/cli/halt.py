"""``murphy halt`` and ``resume``: end everything now. They answer at once."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from planner.cli import BY_HAND
from planner.cli.options import Json
from planner.cli.visible import visible

OWED = 4


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.command(short_help="Undo everything of every run; none begins until resume.")(halt)
    app.command()(resume)


def halt(
    reason: Annotated[str, typer.Argument(help="Why; it is kept in the audit trail.")] = BY_HAND,
    as_json: Json = False,
) -> int:
    """Revert everything of every run, now, and let no run begin until ``murphy resume``."""
    from executor.errors import OwedRevertError, UnavailableError
    from executor.safety.halt import audited
    from executor.safety.halt import halt as raise_flag
    from executor.safety.settle import settled
    from executor.state.home import Home

    home = Home.to_undo()
    try:
        flag = raise_flag(home, reason)
    except UnavailableError as error:  # on a disk that can only be read: what is under way is ended all the same
        if left := settled(home):
            raise OwedRevertError(f"{error} Still owed: {'; '.join(left)}.") from error
        raise UnavailableError(
            f"{error.message} Every fault is undone, but nothing keeps runs from beginning.", where=error.where
        ) from error
    try:
        left = settled(home)
    except UnavailableError as error:
        raise OwedRevertError(
            f"halted, and no run begins; but whether every fault is undone cannot be told: what is noted beside the "
            f"journal is, and {error}"
        ) from error
    if not audited(home):
        raise_flag(home, reason)  # whoever held the journal may be gone by now
    if not audited(home):
        print("The audit trail has no row of this halt: the journal cannot be written.", file=sys.stderr)  # noqa: T201
    return _tell(
        {"halted": True, "since": flag.since, "by": flag.by, "reason": flag.reason, "owed": left},
        f"Halted ({flag.reason}). Every fault is undone; no run begins until murphy resume.",
        left,
        as_json=as_json,
    )


def resume(as_json: Json = False) -> int:
    """Let runs begin again."""
    from executor.safety.halt import resume as lower_flag
    from executor.state.home import Home

    was_up = lower_flag(Home.open())
    return _tell({"resumed": was_up}, "Runs may begin again." if was_up else "Nothing was halted.", [], as_json=as_json)


def _tell(value: dict[str, object], said: str, owed: list[str], *, as_json: bool) -> int:
    # plain print: these commands answer at once, and rich takes a while to load
    if as_json:
        import json

        print(json.dumps(value, indent=2))  # noqa: T201
    elif owed:
        print("Still owed:", *map(visible, owed), "Run murphy recover until nothing is.", sep="\n  ")  # noqa: T201
    else:
        print(visible(said))  # noqa: T201
    return OWED if owed else 0
