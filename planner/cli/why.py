"""What is believed, and why: the prior, what is like it, and what each run has moved."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli.options import Json

if TYPE_CHECKING:
    from executor.model.vocabulary import Weakness


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.command(short_help="Say what is believed of a place, and why.")(why)


def why(
    subject: Annotated[
        str,
        typer.Argument(
            metavar="SUBJECT",
            help="A service, an edge (caller->callee), a weakness at one of them (missing timeout@caller->callee), or "
            "a hypothesis by its id.",
        ),
    ],
    weakness: Annotated[str | None, typer.Argument(help="Only this weakness.")] = None,
    system: Annotated[Path, typer.Option("--system", help="The system that has the place.")] = Path("system.yaml"),
    as_json: Json = False,
) -> None:
    """Say how likely a weakness is believed to be, and which priors, similar places and runs made it so.

    Each is told with what it moved, in bits: one bit doubles the odds.
    """
    from executor.errors import InputError
    from executor.state.home import Home
    from knowledge.topology.annotations import load_system
    from planner.beliefs import explained
    from planner.cli import why_view
    from planner.cli.output import emit

    known = load_system(system)
    named, at, place = subject.rpartition("@")
    wanted = _weakness(named if at else weakness) if at or weakness else None
    places = {service.name for service in known.services} | {edge.place for edge in known.dependencies}
    if not at and weakness is None and subject not in places:
        found = explained(Home.open(), known, hypothesis=subject)
    else:
        found = explained(Home.open(), known, place=place.strip(), weakness=wanted)
    if not found:
        what = wanted.value.replace("_", " ") if wanted else "any weakness"
        raise InputError(
            f"nothing is believed of {what} at {place.strip()}.",
            where=str(system),
            hint="Places are services and caller->callee; murphy why PLACE lists the weaknesses that can be there.",
        )
    if as_json:
        emit([why_view.as_json(one) for one in found])
    else:
        why_view.show(found)


def _weakness(text: str | None) -> Weakness:
    from executor.errors import InputError
    from executor.model.vocabulary import Weakness

    try:
        return Weakness((text or "").strip().lower().replace(" ", "_").replace("-", "_"))
    except ValueError:
        known = ", ".join(each.value.replace("_", " ") for each in Weakness)
        raise InputError(f"{text!r} is no weakness.", hint=f"Known are {known}.") from None
