"""``murphy recover``: leave nothing behind. It answers at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli.halt import OWED
from planner.cli.options import Json
from planner.cli.visible import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Set

    from executor.state.home import Home
    from executor.undo.recover import Recovery
    from executor.undo.swept import Swept

NOT_SAID = 3
_HEADS = {
    "done": "",
    "spared": "Left alone, a run goes on: ",
    "unwatched": "Left alone, but not looked after: ",
    "owed": "Still owed: ",
    "unseen": "Not looked at: ",
}


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.command(short_help="Undo what a run that died has left.")(recover)


def recover(
    as_json: Json = False,
    everything: Annotated[
        bool,
        typer.Option(
            "--sweep", help="Also without a journal: undo, end and remove all that carries our mark and no run holds."
        ),
    ] = False,
    cluster: Annotated[
        str,
        typer.Option(
            "--cluster", help="With --sweep: in the Kubernetes cluster of this kubeconfig, where no run is spared."
        ),
    ] = "",
    system: Annotated[
        Path | None,
        typer.Option(
            "--system",
            help="With --sweep: also in Amazon's regions that this system is in; by default system.yaml's, if there.",
        ),
    ] = None,
    gone: Annotated[
        bool,
        typer.Option("--gone", help="Also what was begun in other containers, which you know to be gone for good."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --gone: do not ask.")] = False,
    unit: Annotated[bool, typer.Option("--unit", help="Print a systemd unit that does this at boot.")] = False,
) -> int:
    """Undo what a run that died has left, and show what is still owed."""
    from executor.state.home import Home

    if unit:
        from executor.undo.boot import unit as text

        print(text(Home.seen()), end="")  # noqa: T201
        return 0
    if (cluster or system) and not everything:
        from executor.errors import InputError

        option = "--cluster" if cluster else "--system"
        raise InputError(f"{option} goes with --sweep: recover knows from the journal where its faults are.")
    if cluster:
        from executor.undo.cluster import sweep_cluster

        return _tell_swept(sweep_cluster(cluster), as_json=as_json)
    if everything:
        from executor.undo.sweep import sweep

        return _tell_swept(sweep(Home.seen(), lambda held: at_amazon(system, held)), as_json=as_json)
    from executor.undo.recover import recovery

    home = Home.to_undo()
    if gone and not _gone(home, yes=yes):
        return NOT_SAID
    return _tell(recovery(home), as_json=as_json)


def _gone(home: Home, *, yes: bool) -> bool:
    """Whether whoever asks stands for it that nobody is left where this was begun."""
    from executor.undo.elsewhere import begun_elsewhere, declare_gone
    from planner.cli.consent import refuse_unattended

    places = begun_elsewhere(home)
    if places and not yes:
        refuse_unattended(instead="--yes", given=False)
        told = ["Begun in other containers:", *(f"  {each}" for of in places.values() for each in of)]
        typer.echo("\n".join(map(visible, told)), err=True)
        if not typer.confirm("Are they gone for good, and every process in them?", err=True):
            return False
    declare_gone(home, places)
    return True


def at_amazon(system: Path | None, held: Set[str]) -> Iterable[Swept]:
    """What is found in the regions of a system. One that was not named need not be there, or be whole."""
    from executor.errors import MurphyError
    from executor.undo.swept import Swept

    path = system or Path("system.yaml")
    if system is None and not path.exists():
        return
    try:
        from executor.undo.amazon import sweep_amazon
        from knowledge.topology.annotations import load_system

        yield from sweep_amazon(load_system(path), held)
    except MurphyError as error:
        yield Swept("owed" if system else "unseen", f"Amazon's regions of {path}: {str(error).rstrip('.')}")


def _tell(found: Recovery, *, as_json: bool) -> int:
    from executor.undo.recover import AGAIN, unnoted

    owed = [result.error for result in found.results if not result.reverted]
    done = [str(result.injection) for result in found.results if result.reverted]
    if as_json:
        _json({"undone": done, "owed": owed, "unwritten": found.unwritten, "altered": found.altered})
    else:
        _print(f"Undone: {text}." for text in done)
        if owed:
            _print(["Still owed:", *(f"  {text}" for text in owed), "  Run murphy recover until nothing is."])
        if found.unwritten:
            _print([f"{unnoted(found)} {found.unwritten} {AGAIN}"])
        if found.altered:
            _print([f"There may be more than the journal says: {found.altered}. murphy recover --sweep looks for it."])
        if not (done or owed or found.unwritten or found.altered):
            _print(["Nothing is owed."])
    return OWED if owed or found.unwritten or found.altered else 0


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        print(visible(line))  # noqa: T201 - rich takes a while to load, and this answers at once


def _tell_swept(found: list[Swept], *, as_json: bool) -> int:
    grave = any(one.grave for one in found)
    by_outcome = {outcome: [one.text for one in found if one.outcome == outcome] for outcome in _HEADS}
    if as_json:
        _json(dict(by_outcome))
    else:
        _print(f"{_HEADS[one.outcome]}{one.text}." for one in found)
        if not any(by_outcome[outcome] for outcome in ("done", "unwatched", "owed")):
            _print(["Nothing more of ours was found." if grave else "Nothing of ours was left."])
    return OWED if by_outcome["owed"] or by_outcome["unwatched"] or grave else 0


def _json(value: dict[str, object]) -> None:
    import json

    print(json.dumps(value, indent=2))  # noqa: T201
