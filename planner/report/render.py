"""Reports of a run: one self-contained HTML file, or Markdown for a pull request. Verdicts first."""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from executor.model import wording
from executor.model.evidence import HypothesisResult, Validation
from executor.model.vocabulary import Verdict
from knowledge.calibration import Calibration
from planner import capacity, words
from planner.recovery import KEPT, recoveries
from planner.report.calibration_curve import calibration_curve
from planner.report.heat_map import heat_map
from planner.report.load_curve import load_curve
from planner.report.picture import timeline
from planner.report.propagation import propagation
from planner.report.run import Run
from planner.report.scaling import scaling
from planner.report.stability_map import stability_map

_MARKS: Final = re.compile(r"([\\`*_\[\]<>|&#~])")
"""What means something in the middle of a line of Markdown."""


def html(run: Run) -> str:
    """The whole report as one HTML document that loads nothing from elsewhere."""
    environment = Environment(
        loader=PackageLoader("planner", "report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    pictures = {
        result.experiment: timeline(run.observations[result.experiment], run.events(result.experiment))
        for result in run.evidence.results
    }
    return environment.get_template("report.html.j2").render(
        run=run,
        words=words,
        wording=wording,
        headline=headline(run),
        tally=tally(run),
        pictures=pictures,
        propagations={each.experiment.id: propagation(each.cascade) for each in run.cascades if each.cascade.fallen},
        heat_maps={name: heat_map(seen) for name, seen in run.observations.items()},
        load_curve=load_curve,
        scaling=scaling,
        stability=stability_map(
            [(run.experiment(result).title, found) for result in run.evidence.results for found in result.capacities]
        ),
        capacity_told=capacity.told,
        unknown=unknown(run),
        recoveries=recoveries(run.evidence),
        validations=validations(run),
        kept=KEPT,
        foretold=foretold(run),
        calibration_curve=calibration_curve,
    )


def markdown(run: Run) -> str:
    """The same in Markdown, without pictures."""
    lines = [
        f"# {headline(run)}",
        "",
        f"Run `{run.evidence.run}` of plan `{run.plan.id}` on {run.plan.system_name}.",
        "",
    ]
    if run.evidence.outcome != "completed":
        lines += [_plain(words.cut_short(run.evidence)), ""]
    lines += ["| verdict | weakness | where | why |", "|---|---|---|---|"]
    for result in run.evidence.results:
        lines += [
            f"| {h.verdict.value} | {wording.named(h.weakness.value)} | `{h.place}` | {_plain(h.reason)} |"
            for h in result.hypotheses
        ]
    if rows := recoveries(run.evidence):
        lines += ["", "| check | noticed after | back | over the trials | longest part | service kept |"]
        lines += ["|---|---|---|---|---|---|"]
        lines += [
            f"| {' | '.join(map(_plain, (r.check, r.noticed, r.back, r.trials, r.bottleneck, r.kept)))} |" for r in rows
        ]
    if said := validations(run):
        lines += ["", "| validator | of | verdict | measured | expected |", "|---|---|---|---|---|"]
        lines += [
            f"| {wording.named(v.validator)} | `{_code(v.of)}` | {v.verdict.value} | {_plain(v.measured)} "
            f"| {_plain(v.expected)} |"
            for v in said
        ]
    lines += _told(run)
    for result in run.evidence.results:
        for found in result.capacities:
            lines += ["", f"## How much {_plain(found.instance)} carries", ""]
            lines += [f"- {name}: {_plain(text)}" for name, text in capacity.told(found)]
    lines += _cascades(run)
    for finding in run.findings:
        lines += [
            "",
            f"## {wording.named(finding.weakness.value).capitalize()} at `{finding.place}` ({finding.severity.value})",
        ]
        lines += ["", _plain(finding.evidence), "", f"Remedy: {_plain(finding.remedy)}"]
        lines += ["", f"See it again: `{_code(finding.reproduce)}`"]
    if told := foretold(run):
        lines += ["", "| foretold by | predictions | Brier | log score | came true |", "|---|---|---|---|---|"]
        lines += [f"| {name} | {c.n} | {c.brier:.3f} | {c.log_score:.3f} | {c.came_true:.0%} |" for name, c in told]
    if run.evidence.owed:
        lines += ["", "## Still owed", "", *(f"- {_plain(owed)}" for owed in run.evidence.owed)]
    return "\n".join(lines) + "\n"


def _told(run: Run) -> list[str]:
    """How big each fault was, and whatever else it told."""
    told = [f"- {_plain(said)}" for result in run.evidence.results for said in run.measured(result.experiment)]
    return ["", "## What the faults told at their end", "", *told] if told else []


def _cascades(run: Run) -> list[str]:
    """A row for each service that a failure spread to."""
    rows = [
        f"| `{', '.join(seen.cascade.struck)}` | `{fallen.service}` | {wording.number(fallen.onset.value)} s | "
        f"{f'`{link.way.callee}`' if (link := seen.cascade.cause(fallen.service)) else 'no known dependency'} | "
        f"{fallen.seen.good} of {wording.many(fallen.seen.n, 'trial')} |"
        for seen in run.cascades
        for fallen in seen.cascade.fallen
    ]
    return ["", "| struck | what fell | after | by | seen in |", "|---|---|---|---|---|", *rows] if rows else []


def validations(run: Run) -> list[Validation]:
    """What the validators of all experiments say, in their order."""
    return [validation for result in run.evidence.results for validation in result.validations]


def foretold(run: Run) -> list[tuple[str, Calibration]]:
    """How good the predictions for the system's runs have been, by whose they were."""
    if run.foretold is None:
        return []
    both = (("the twin", run.foretold.twin), ("experts and twin together", run.foretold.plans))
    return [(name, found) for name, found in both if found is not None]


def headline(run: Run) -> str:
    """The outcome in one line."""
    if run.evidence.owed:
        owed = len(run.evidence.owed)
        return f"{owed} fault{'' if owed == 1 else 's'} could not be undone"
    if run.evidence.outcome != "completed":
        return f"The run was {run.evidence.outcome}; everything was undone"
    found = len(run.findings)
    return f"{found} weakness{'' if found == 1 else 'es'} found" if found else "No weakness found"


def tally(run: Run) -> dict[str, int]:
    """How many hypotheses had each verdict."""
    counted = Counter(h.verdict.value for result in run.evidence.results for h in result.hypotheses)
    return {verdict.value: counted[verdict.value] for verdict in Verdict}


def unknown(run: Run) -> list[HypothesisResult]:
    """Hypotheses that got no answer."""
    open_ends = (Verdict.INCONCLUSIVE, Verdict.ABORTED)
    return [h for result in run.evidence.results for h in result.hypotheses if h.verdict in open_ends]


def _plain(text: str) -> str:
    """One line of text that is only text: what services answered must not become tags, links or headings."""
    return _MARKS.sub(r"\\\1", " ".join(text.split()))


def _code(text: str) -> str:
    """The same for the inside of a code span, in which nothing can be escaped."""
    return " ".join(text.replace("`", "'").split())
