"""A plan on the terminal: exactly what will happen, in plain words, with a picture of when."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from executor.model import wording
from executor.model.digest import digest
from executor.model.plan import Experiment, Plan, Prediction
from executor.safety.reach import run_s
from experts.voices import heard, spread
from planner import words
from planner.cli.output import out as terminal

OTHERS_MAX = 8
"""So many experiments that are not recommended are shown beside those that are."""
WIDTH = 36
"""Characters of the time line picture."""
DISAGREE = 0.25
"""Experts whose probabilities are so far apart disagree."""


def written(output: Path, out: Console = terminal) -> None:
    """Say where a plan is, and what to do with it."""
    out.print(f"\nWritten to {output}. Next: [head]murphy show {output}[/head], [head]murphy approve {output}[/head]")


def show(plan: Plan, out: Console = terminal) -> None:
    """Print the whole plan: head line, then one panel an experiment."""
    out.print(
        f"[head]Plan {plan.id}[/head] for {plan.system_name} ({plan.environment.value}): "
        f"{wording.many(len(plan.experiments), 'experiment')}, at most {wording.duration(run_s(plan))}"
    )
    if plan.goal:
        out.print(f"Goal: {escape(plan.goal)}")
    if plan.rationale:
        out.print(escape(plan.rationale), style="quiet")
    for number, stage in enumerate(plan.stages, start=1):
        for experiment in stage.experiments:
            out.print(_panel(number, len(plan.stages), experiment))
    out.print(f"Digest {digest(plan)}", style="quiet")


def overview(plan: Plan) -> Table:
    """One row an experiment, for a plan with many."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="head")
    for column in ("#", "what is done, and what it follows from", "bears on", "P(breaks)", "experts say"):
        table.add_column(column, overflow="fold")
    for number, experiment in enumerate(plan.experiments, start=1):
        weaknesses = dict.fromkeys(wording.named(h.weakness.value) for h in experiment.hypotheses)
        likely = max(h.prediction.probability_breaks for h in experiment.hypotheses)
        most = max(experiment.hypotheses, key=lambda h: _apart(h.prediction))
        because = cited(experiment)
        what = escape(experiment.title) + (f"\n[quiet]{escape(because)}[/quiet]" if because else "")
        table.add_row(str(number), what, ", ".join(weaknesses), f"{likely:.0%}", _range(most.prediction))
    return table


def front(rows: Sequence[Mapping[str, Any]]) -> Table:
    """What could be done instead: value, risk and cost of whatever no other beats in all three, and of the plan's own.

    ``rows`` as ``planner.state.State`` has them under ``front``.
    """
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="head", title_justify="left", title_style="quiet")
    table.title = "Pareto front: ● recommended, ○ not; ◌ recommended, though another alone would beat it"
    table.add_column("")
    table.add_column("experiment", overflow="fold")
    for column in ("value", "risk", "cost"):
        table.add_column(column, justify="right", no_wrap=True)
    others = [row for row in rows if not row["recommended"]]
    for row in (*(row for row in rows if row["recommended"]), *others[:OTHERS_MAX]):
        mark = "○" if not row["recommended"] else "●" if row["front"] else "◌"
        cells = (f"{row['value']:.2f}", f"{row['risk']:.2f}", wording.duration(row["seconds"]))
        table.add_row(mark, escape(row["title"]), *cells)
    if len(others) > OTHERS_MAX:
        table.add_row("", f"[quiet]and {len(others) - OTHERS_MAX} more that could be done instead[/quiet]", "", "", "")
    return table


def opinions(prediction: Prediction) -> str:
    """Who says what, the most worried first, and how far apart they are; empty where nobody is named."""
    said = dict(prediction.by)
    counted = heard(said)
    if not counted:
        return ""
    ranked = sorted(counted, key=lambda name: (-said[name], name))
    told = ", ".join(f"{name} {said[name]:.0%}" for name in ranked)
    apart = _apart(prediction)
    if len(counted) < 2:
        return f"only {told}"
    return f"{told}: {'they disagree' if apart >= DISAGREE else 'they agree'} ({round(100 * apart)} points apart)"


def _apart(prediction: Prediction) -> float:
    if not prediction.by:
        return 0.0
    low, high = spread(dict(prediction.by))
    return high - low


def _range(prediction: Prediction) -> str:
    """For instance ``20–75 %, disagree``; of a plan that names nobody: nothing."""
    if not prediction.by:
        return ""
    low, high = (round(100 * each) for each in spread(dict(prediction.by)))
    return (f"{low} %" if low == high else f"{low}–{high} %") + (", disagree" if _apart(prediction) >= DISAGREE else "")


def cited(experiment: Experiment) -> str:
    """The first sentence of an experiment's reasons that cites an earlier run; empty if none does."""
    sentences = re.split(r"(?<=[.;]) ", experiment.rationale)
    return next((sentence.rstrip(";.") for sentence in sentences if re.search(r"\brun-[0-9a-f]+", sentence)), "")


def _panel(number: int, of: int, experiment: Experiment) -> Panel:
    body = Table.grid(padding=(0, 1))
    body.add_column(style="quiet", no_wrap=True)
    body.add_column(overflow="fold")
    for action in experiment.actions:
        body.add_row("does", escape(words.action(action)))
    body.add_row("when", _picture(experiment))
    for hypothesis in experiment.hypotheses:
        body.add_row(
            "expects",
            f"{escape(hypothesis.statement)} [quiet](P(breaks) {hypothesis.prediction.probability_breaks:.0%})",
        )
        if said := opinions(hypothesis.prediction):
            body.add_row("", f"[quiet]{escape(said)}[/quiet]")
        for criterion in hypothesis.criteria:
            body.add_row("", f"[quiet]· {escape(words.criterion(criterion))}[/quiet]")
    body.add_row("watches", ", ".join(check.id for check in experiment.checks))
    for check in experiment.data_checks:
        body.add_row("writes", escape(words.data_check(check)))
    body.add_row("stops if", _stops(experiment))
    if experiment.ends_when_certain:
        body.add_row("ends early", "the fault, as soon as every hypothesis is sure to break, whatever comes")
    if experiment.rationale:
        body.add_row("why", escape(experiment.rationale))
    return Panel(body, title=f"{number}/{of} {escape(experiment.title)}", title_align="left", border_style="quiet")


def _stops(experiment: Experiment) -> str:
    if experiment.abort_conditions == "none":
        return "no condition of its own; the guard's and the operator's limits hold"
    return "; ".join(
        f"{c.check} answers well less than {c.availability_below:.0%} of the last {c.of} times"
        for c in experiment.abort_conditions
    )


def _picture(experiment: Experiment) -> Text:
    """Baseline (as "before", which fits), fault and recovery as a bar, in proportion."""
    phases = (
        ("before", experiment.baseline_s, "on green"),
        ("fault", experiment.fault_s, "on red"),
        ("recovery", experiment.recovery_deadline_s, "on yellow"),
    )
    whole = sum(seconds for _, seconds, _ in phases)
    picture = Text()
    for name, seconds, style in phases:
        width = max(len(name) + 1, round(WIDTH * seconds / whole))
        picture.append(f" {name}"[:width].ljust(width), style=f"black {style}")
    picture.append(f" {wording.duration(whole)}")
    if experiment.trials > 1:
        picture.append(f", {experiment.trials} times")
    return picture
