"""``murphy sessions``: planning sessions that are kept, each of their steps, and forgetting them."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli.options import Json

if TYPE_CHECKING:
    from executor.state.home import Home
    from planner.history import Past, Step

DAYS = 90


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command(short_help="List planning sessions and their steps, to go on from one.")(sessions)


def sessions(
    session: Annotated[str | None, typer.Argument(metavar="SESSION", help="Show only this one, step by step.")] = None,
    forget: Annotated[
        bool, typer.Option("--forget", help="Drop it; without SESSION: every one that is older than --days.")
    ] = False,
    days: Annotated[int, typer.Option(min=0, help="With --forget: days since the last step.")] = DAYS,
    as_json: Json = False,
) -> None:
    """List what was planned here: how each session stands, how old it is, and its plan; or every step of one.

    murphy plan --from SESSION@STEP goes on from there as a new session. What was run stays known when a session is
    forgotten.
    """
    from executor.state.home import Home
    from planner import history
    from planner.cli.output import emit, out

    home = Home.open()
    if forget:
        _forget(home, session, days, as_json=as_json)
    elif session is not None:
        kept = history.steps(home, session)
        emit([asdict(step) for step in kept]) if as_json else _show(session, kept)
    else:
        found = history.sessions(home)
        if as_json:
            emit([asdict(past) for past in found])
        elif found:
            _list(found)
        else:
            out.print("There is no planning session yet: murphy plan makes one.")


def _forget(home: Home, session: str | None, days: int, *, as_json: bool) -> None:
    from datetime import timedelta

    from executor.clock import SYSTEM_CLOCK
    from executor.model.wording import many
    from planner import history
    from planner.cli.output import emit, say

    if session is not None:
        history.forget(home, session)
        gone: tuple[str, ...] = (session,)
    else:
        gone = history.forget_older(home, SYSTEM_CLOCK.now() - timedelta(days=days))
    if as_json:
        emit(gone)
    else:
        say(f"{many(len(gone), 'session')} forgotten.")


def _list(found: tuple[Past, ...]) -> None:
    from rich.markup import escape

    from executor.clock import SYSTEM_CLOCK
    from planner.cli.output import out
    from planner.cli.results_view import table

    now = SYSTEM_CLOCK.now()
    rows = table("session", "age", "system", "plan", "stands")
    for past in found:
        plan = f"{past.experiments} experiments" if past.experiments != 1 else "1 experiment"
        if past.plan and past.plan != past.session:
            plan = f"{past.plan}, {plan}"
        stands = past.stands + (f"; branch of {past.origin}" if past.origin else "")
        rows.add_row(
            past.session, age(past.changed, now), escape(past.system), plan if past.plan else "", escape(stands)
        )
    out.print(rows)


def _show(session: str, kept: tuple[Step, ...]) -> None:
    from rich.markup import escape

    from planner.cli.output import out
    from planner.cli.results_view import table

    rows = table("step", "after", "when", "what came of it")
    for step in kept:
        rows.add_row(str(step.number), step.node, f"{step.at.astimezone():%Y-%m-%d %H:%M:%S}", escape(step.came_of_it))
    out.print(rows)
    out.print(f"[head]murphy plan --from {session}@STEP[/head] goes on from one as a new session.", soft_wrap=True)


def age(then: datetime, now: datetime) -> str:
    """How long ago, in the largest unit that is not 0: ``3 d``, ``5 h``, ``12 min``, ``8 s``."""
    seconds = max(0, int((now - then).total_seconds()))
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
