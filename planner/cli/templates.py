"""``murphy templates``: what was seen more than once, as what can be tried again."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from planner.cli.options import Json

if TYPE_CHECKING:
    from knowledge.patterns.templates import Template


_STRUCK: dict[str, str] = {
    "place": "the place itself",
    "callee": "the service that is called",
    "caller": "the service that calls",
    "edges_in": "each call to the service",
    "edges_out": "each call of the service",
    "edges_beyond": "each call of the service that is called",
    "cut": "the calls between the two",
}


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command(short_help="List what runs have shown at least twice, to try it again.")(templates)


def templates(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Show only this one, with its record.")] = None,
    system: Annotated[Path, typer.Option("--system", help="Say where it fits there.")] = Path("system.yaml"),
    as_json: Json = False,
) -> None:
    """List the findings that reproduced: what was done, at what sort of place, and how often it broke.

    murphy plan --template NAME tries one again wherever it fits; --template all is the regression suite.
    """
    from executor.state.home import Home
    from planner.cli.output import emit, out
    from planner.mined import mined_templates, named_templates

    home = Home.open()
    found = named_templates(home, [name]) if name else mined_templates(home)
    if as_json:
        emit([_told(each) for each in found])
    elif name:
        _show(found[0], system)
    elif found:
        _list(found)
    else:
        out.print("There is no template yet: a finding becomes one once two runs have shown it.")


def _list(found: tuple[Template, ...]) -> None:
    from rich.markup import escape

    from knowledge.fault_types import fault_text
    from planner.cli.output import out
    from planner.cli.results_view import table

    rows = table("template", "fault", "where", "broke", "last")
    rows.columns[0].no_wrap = True  # it is there to be copied
    for each in found:
        style = each.latest.verdict.value
        rows.add_row(
            each.name,
            escape(fault_text(each.action.fault)),
            escape(each.look.words()),
            f"{each.broke.good} of {each.broke.n}",
            f"[{style}]{style}[/{style}] {escape(each.latest.run)}",
        )
    out.print(rows)


def _show(template: Template, path: Path) -> None:
    from executor.model.wording import named, percent
    from planner import words
    from planner.cli.output import out

    broke = template.broke
    out.print(f"[head]{template.name}[/head]: {named(template.weakness.value)}")
    told = [
        template.statement,
        f"Where: {template.look.words()}",
        f"What is done, where it was last seen: {words.action(template.action)} ({_STRUCK[template.struck]})",
        f"Broke in {broke.good} of {broke.n} tries ({percent(broke.low)} to {percent(broke.high)})",
        *(f"  {each.verdict} in {each.run} at {each.place} of {each.system}" for each in template.record),
        f"What was asked meanwhile: {', '.join(template.checks) or 'not known'}",
        f"Remedy: {template.remedy}" if template.remedy else "",
        f"The very same experiment: murphy plan --again {template.again}",
        _fits(template, path),
    ]
    for line in filter(None, told):
        out.print(line, markup=False, soft_wrap=True)


def _fits(template: Template, path: Path) -> str:
    if not path.exists():
        return ""
    from knowledge.topology.annotations import load_system

    system = load_system(path)
    places = template.fits(system)
    if not places or template.foreign(system):
        return f"It fits no place of {system.name}."
    return f"It fits {', '.join(places)} of {system.name}: murphy plan --template {template.name}"


def _told(template: Template) -> dict[str, Any]:
    return {
        "name": template.name,
        "weakness": template.weakness.value,
        "place": asdict(template.look),
        "struck": template.struck,
        "fault": template.action.fault.model_dump(mode="json"),
        "duration_s": template.action.duration_s,
        "checks": list(template.checks),
        "statement": template.statement,
        "remedy": template.remedy,
        "broke": template.broke.good,
        "tries": template.broke.n,
        "interval": [template.broke.low, template.broke.high],
        "again": template.again,
        "record": [{**asdict(each), "verdict": each.verdict.value} for each in template.record],
    }
