"""Cascades on the terminal, and as JSON: how far a failure should spread, and how far it did."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.tree import Tree

from executor.measure.cascade.observed import Fallen, Link
from executor.measure.containment import struck
from executor.measure.intervals import Share
from executor.measure.spans import Span
from executor.model.evidence import Figure
from executor.model.plan import Experiment
from executor.model.wording import many, number, percent, unit
from planner.cascade.observed import Observed, Seen
from planner.cascade.plan import Planned
from planner.cascade.predict import Foreseen
from planner.cascade.standing import Said, Standing
from planner.cli import plan_view
from planner.cli.output import out as terminal
from planner.cli.results_view import table

_STYLES = {Said.CONFIRMED: "breaks", Said.NOT_CONFIRMED: "holds", Said.UNDECIDED: "inconclusive"}
UNTOLD = "not well before the fault in one of the trials, or hardly asked"
Forecast = tuple[Experiment, Sequence[Foreseen]]


def planned(plan: Planned, foreseen: Iterable[Forecast], points: Sequence[Standing], file: Path) -> None:
    """The plan in short, a tree for each forecast that differs, and the suspected single points of failure."""
    out = terminal
    out.print(f"[head]Plan {plan.plan.id}[/head] ({file}), scenario {plan.scenario.value}")
    out.print(plan_view.overview(plan.plan))
    alike: dict[tuple[Foreseen, ...], list[Experiment]] = {}
    for experiment, told in foreseen:
        alike.setdefault(tuple(told), []).append(experiment)
    for told, experiments in alike.items():
        out.print(f"[head]Expected[/head] of {escape('; and of '.join(each.title for each in experiments))}")
        parents = {each.service: each.way.callee if each.way else "" for each in told}
        by_name = {each.service: _expected(each) for each in told}
        out.print(_tree(struck(experiments[0]), parents, by_name.__getitem__))
    single_points(points)
    for note in plan.notes:
        out.print(f"· {note}", style="quiet", markup=False)


def observed(found: Observed) -> None:
    """Each experiment's propagation graph as a tree, with its figures; then the single points of failure."""
    for seen in found.seen:
        _cascade(seen)
    if not found.seen:
        terminal.print(f"No experiment of {escape(found.run)} made a fault on a service or an edge.")
    single_points(found.single_points)


def single_points(points: Sequence[Standing], out: Console = terminal) -> None:
    """One row a suspicion; by experiment only, not by the graph, is one a single point of failure."""
    if not points:
        out.print("The dependency graph suspects no single point of failure.")
        return
    rows = table(
        "suspected single point of failure", "experiment says", "what needs it", "reached only through it", "why"
    )
    for each in points:
        style = _STYLES.get(each.said, "quiet")
        name = each.point.service + (" (articulation point)" if each.point.articulation else "")
        why = f"{each.told.run}, {each.told.fault}: {each.told.reason}" if each.told else ""
        rows.add_row(
            escape(name),
            f"[{style}]{each.said.value}[/{style}]",
            ", ".join(each.point.operations),
            ", ".join(each.point.cut_off),
            escape(why),
        )
    out.print(rows)


def _cascade(seen: Seen, out: Console = terminal) -> None:
    cascade, fallen = seen.cascade, {each.service: each for each in seen.cascade.fallen}
    expected = {each.service: each for each in seen.foreseen}
    out.print(f"\n[head]{escape(seen.experiment.title)}[/head], {many(cascade.trials, 'trial')}")
    if seen.aborted:
        out.print(f"[aborted]Cut short: {escape(seen.aborted)}[/aborted]")

    def label(name: str) -> str:
        told = expected.get(name)
        if name in cascade.untold:
            return f"{escape(name)} [inconclusive]cannot be told[/inconclusive] [quiet]({UNTOLD})[/quiet]"
        if name not in fallen:
            return f"{escape(name)} [holds]kept its steady state[/holds]{_foretold(told, fell=False)}"
        return f"{escape(name)} {_fell(fallen[name], cascade.cause(name))}{_foretold(told, fell=True)}"

    parents = {name: link.way.callee if (link := cascade.cause(name)) else "" for name in fallen}
    unhurt, shown = (*cascade.spared, *cascade.untold), {*cascade.struck, *fallen, *cascade.spared, *cascade.untold}
    parents |= {name: _below(name, expected, shown) for name in unhurt}
    roots = {name: _own(cascade.target_hurt) for name in cascade.struck}
    out.print(_tree(cascade.struck, parents, label, roots))
    for line in _figures(cascade.figures, seen.compared.depth):
        out.print(line)
    for far, near in seen.compared.early:
        out.print(f"· {far} fell before {near}, which is nearer to what was struck", markup=False)
    for verdict in seen.bulkheads:
        style = verdict.verdict.value
        kept = f"Unrelated endpoints, {verdict.place}: [{style}]{style}[/{style}] ({escape(verdict.reason)})"
        out.print(kept)


def _below(name: str, expected: Mapping[str, Foreseen], shown: Collection[str]) -> str:
    """The next service on the way to what was struck that has a place in the tree; empty: no dependency shows one."""
    while (told := expected.get(name)) is not None and told.way is not None:
        name = told.way.callee
        if name in shown:
            return name
    return ""


def _tree(
    roots: Iterable[str],
    parents: Mapping[str, str],
    label: Callable[[str], str],
    notes: Mapping[str, str] | None = None,
) -> Tree:
    """Callers under their callees; those that no dependency leads to under a branch of their own."""
    whole = Tree("", hide_root=True)
    placed = {name: whole.add(f"{escape(name)} [breaks]struck[/breaks]{(notes or {}).get(name, '')}") for name in roots}
    apart = Tree("no known dependency leads to")
    placed |= {name: apart.add(label(name)) for name, parent in parents.items() if parent not in {*parents, *placed}}
    open_ends = {name: parent for name, parent in parents.items() if name not in placed}
    while ready := [name for name, parent in open_ends.items() if parent in placed]:
        for name in ready:
            placed[name] = placed[open_ends.pop(name)].add(label(name))
    if apart.children:
        whole.children.append(apart)
    return whole


def _expected(told: Foreseen) -> str:
    style, what = ("breaks", "falls") if told.falls else ("holds", "stays")
    via = f", via {' and '.join(told.way.via)}" if told.way and told.way.via else ""
    why = f"P(falls) {told.probability:.0%}: {told.why}{via}"
    return f"{escape(told.service)} [{style}]{what}[/{style}] [quiet]({escape(why)})[/quiet]"


def _fell(fallen: Fallen, link: Link | None) -> str:
    often = f"in {fallen.seen.good} of {many(fallen.seen.n, 'trial')}"
    if fallen.after:
        often += f", in {fallen.after} of them only once the fault was taken away"
    return f"[breaks]fell[/breaks] {_span(fallen.onset)} after the injection{_lag(link)}, {often}"


def _lag(link: Link | None) -> str:
    """How long after its callee; of a tie, that nobody can tell."""
    if link is None:
        return ""
    via = f" via {' and '.join(link.way.via)}" if link.way.via else ""
    if link.ties == link.seen.good:
        return f", with {link.way.callee}{via} as far as can be told"
    ties = f", a tie in {link.ties} of {many(link.seen.good, 'trial')}" if link.ties else ""
    return f", {_span(link.lag)} after {link.way.callee}{via}{ties}"


def _foretold(told: Foreseen | None, *, fell: bool) -> str:
    if told is None:
        return " [inconclusive](nothing was expected)[/inconclusive]"
    if told.falls == fell:
        return " [quiet](as expected)[/quiet]"
    return f" [inconclusive](expected to {'fall' if told.falls else 'stay'}: {told.why})[/inconclusive]"


def _own(target: Share) -> str:
    return f" [quiet](its own checks failed in {target.good} of {many(target.n, 'trial')})[/quiet]" if target.n else ""


def _figures(figures: Sequence[Figure], depth: int) -> list[str]:
    names = {
        "cascade_depth": f"depth, calls (expected {depth})",
        "cascade_breadth": "breadth, services",
        "cascade_lag": "a call took",
        "cascade_speed": "speed, services",
        "containment": "containment",
    }
    return [f"  {names[figure.name]}: {_figure(figure)}" for figure in figures]


def _figure(figure: Figure) -> str:
    value = percent if figure.name == "containment" else lambda x: f"{number(x)} {unit(figure.unit)}".strip()
    counted = {"containment": "service", "cascade_lag": "step"}.get(figure.name, "trial")
    sample = f"n = {many(figure.n, counted)}"
    if figure.low is None:
        return f"{value(figure.value)}, {sample}"
    if figure.high is None:
        return f"at least {value(figure.low)}, {sample}"
    return f"{value(figure.value)} ({value(figure.low)} – {value(figure.high)}), {sample}"


def _span(span: Span) -> str:
    return f"{number(span.value)} s ({number(span.low)} – {number(span.high)})"


def planned_json(plan: Planned, foreseen: Iterable[Forecast], points: Iterable[Standing]) -> dict[str, Any]:
    """For programs."""
    return {
        "plan": plan.plan,
        "scenario": plan.scenario.value,
        "foreseen": {experiment.id: [_foreseen_json(each) for each in told] for experiment, told in foreseen},
        "single_points": [_standing_json(each) for each in points],
        "notes": plan.notes,
    }


def observed_json(found: Observed) -> dict[str, Any]:
    """For programs."""
    return {
        "run": found.run,
        "cascades": [
            {
                "experiment": seen.experiment.id,
                "aborted": seen.aborted,
                **asdict(seen.cascade),
                "figures": seen.cascade.figures,
                "foreseen": [_foreseen_json(each) for each in seen.foreseen],
                "compared": asdict(seen.compared),
                "bulkheads": seen.bulkheads,
            }
            for seen in found.seen
        ],
        "single_points": [_standing_json(each) for each in found.single_points],
    }


def _foreseen_json(told: Foreseen) -> dict[str, Any]:
    return {**asdict(told), "falls": told.falls}


def _standing_json(each: Standing) -> dict[str, Any]:
    told = None if each.told is None else {"run": each.told.run, "fault": each.told.fault, "reason": each.told.reason}
    return {**asdict(each.point), "said": each.said.value, "told": told}
