"""``murphy faults``: the catalogue, and what of it can be done to a target here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from planner.cli.options import Json

if TYPE_CHECKING:
    from executor.faults.behaviour import Behaviour, LeaseKind
    from executor.model.faults import FaultSpec


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.command(short_help="List the faults, or what is possible at a place.")(faults)


def faults(
    target: Annotated[
        str | None, typer.Option(help="A service or an edge, caller->callee: what is possible there.")
    ] = None,
    system: Annotated[Path, typer.Option("--system", help="The system that has the target.")] = Path("system.yaml"),
    as_json: Json = False,
) -> None:
    """List every fault with its parameters; with --target, whether it can be done there, and if not, why."""
    from executor.faults.registry import behaviour
    from executor.model.faults import SPECS
    from planner.cli.output import emit, out
    from planner.possible import possible

    rows = [_row(spec, behaviour(spec.named())) for spec in SPECS]
    if target is not None:
        from knowledge.topology.annotations import load_system

        reasons = possible(load_system(system), target)
        rows = [
            {**row, "possible": not reasons[row["kind"]], "why_not": reasons[row["kind"]]}
            for row in rows
            if row["kind"] in reasons
        ]
    if as_json:
        emit(rows)
        return
    for row in rows:
        mark = (
            ""
            if target is None
            else "[holds]yes[/holds]  "
            if row["possible"]
            else "[inconclusive]no[/inconclusive]   "
        )
        out.print(f"{mark}[head]{row['kind']}[/head]  {row['what']}", soft_wrap=True)
        for name, text in row["parameters"].items():
            out.print(f"      {name}: {text}", style="quiet", soft_wrap=True, markup=False)
        if row.get("why_not"):
            out.print(f"      {row['why_not']}", style="inconclusive", soft_wrap=True, markup=False)
        elif lost := _lost(row):
            for line in lost:
                out.print(f"      {line}", style="inconclusive", soft_wrap=True, markup=False)
        if target is None:
            out.print(f"      ends by itself: {_LEASES[row['lease']]}", style="quiet", soft_wrap=True, markup=False)
            out.print(f"      not like the real thing: {row['differs']}", style="quiet", soft_wrap=True, markup=False)
            out.print(f"      reaches: {', '.join(row['reaches'])}", style="quiet", soft_wrap=True, markup=False)


_LEASES: Final[dict[LeaseKind, str]] = {
    "kernel": "by a time-out in the kernel",
    "server": "by a time-out where it is made (database, proxy, cluster or cloud)",
    "parent_death": "with a helper, which ends when Murphy does",
    "watchdog": "by the watchdog, a process of Murphy's that outlives it",
}
"""What ends a fault that nobody renews any more."""


def _lost(row: dict[str, Any]) -> list[str]:
    """What cannot be done on this machine: the fault, or some of its ways."""
    if row["lacking"]:
        return [f"not on this machine: {row['lacking']}"]
    ways: dict[str, list[str]] = {}
    for how, reason in row["ways_lacking"].items():
        ways.setdefault(reason, []).append(how)
    return [f"not on this machine, how {' or '.join(names)}: {reason}" for reason, names in ways.items()]


def _row(spec: type[FaultSpec], how: Behaviour) -> dict[str, Any]:
    from executor.faults.behaviour import lacking, ways_lacking

    schema = spec.model_json_schema()
    parameters = {name: _parameter(field) for name, field in schema["properties"].items() if name != "kind"}
    what = " ".join((spec.__doc__ or "").split())
    return {
        "kind": spec.named(),
        "what": what,
        "takes": spec.target_kind,
        "lease": how.lease,
        "reaches": [scope.value for scope in spec.scope],
        "lacking": lacking(how) or "",
        "ways_lacking": ways_lacking(how),
        "parameters": parameters,
        "differs": spec.differs,
    }


def _parameter(field: dict[str, Any]) -> str:
    given = next((each for each in field.get("anyOf", ()) if each.get("type") != "null"), field)  # it may be left out
    bounds = [f"{word} {given[key]}" for key, word in _BOUNDS.items() if key in given]
    choices = " | ".join(map(str, given.get("enum", ())))
    default = f"default {field['default']}" if "default" in field else "must be given"
    about = " ".join(field.get("description", "").split())
    return "; ".join(part for part in (choices, ", ".join(bounds), default, about) if part)


_BOUNDS = {"minimum": "from", "exclusiveMinimum": "more than", "maximum": "to", "exclusiveMaximum": "less than"}
