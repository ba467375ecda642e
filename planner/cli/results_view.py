"""What a run gave, on the terminal: verdicts, findings, and how the experts did."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from executor.model import wording
from executor.model.evidence import Evidence, Finding
from planner import words
from planner.cli.output import out as terminal
from planner.recovery import KEPT, slowest


def verdicts(evidence: Evidence, out: Console = terminal) -> None:
    """One row a hypothesis: what was seen, and what was expected."""
    rows = table("verdict", "weakness", "where", "P(breaks)", "why", gap=1)
    for result in evidence.results:
        for h in result.hypotheses:
            verdict = f"[{h.verdict.value}]{h.verdict.value}[/{h.verdict.value}]"
            rows.add_row(
                verdict, wording.named(h.weakness.value), escape(h.place), f"{h.predicted:.0%}", escape(h.reason)
            )
    out.print(rows)


def recovery(evidence: Evidence, out: Console = terminal) -> None:
    """One row an experiment that hurt something: the check that took longest, how alike the trials were, and why."""
    found = slowest(evidence)
    if not found:
        return
    columns = {
        "experiment": [escape(row.experiment) for row, _ in found],
        "slowest check": [f"{escape(row.check)}\n[quiet]of {more + 1} hurt[/quiet]" for row, more in found],
        "noticed after": [escape(row.noticed) for row, _ in found],
        "back": [escape(row.back) for row, _ in found],
        "over the trials": [escape(row.trials) for row, _ in found],
        "longest part": [escape(row.bottleneck) for row, _ in found],
        "service kept": [row.kept for row, _ in found],
    }
    told = {name: cells for name, cells in columns.items() if any(cells)}
    shown = table(*told)
    for cells in zip(*told.values(), strict=True):
        shown.add_row(*cells)
    out.print(shown)
    out.print(f"[quiet]{KEPT}[/quiet]\n")


def validations(evidence: Evidence, out: Console = terminal) -> None:
    """One row a property that the system has shown, or not: what of, what was seen, and what was expected."""
    said = [validation for result in evidence.results for validation in result.validations]
    if not said:
        return
    rows = table("validator", "of", "verdict", "measured", "expected")
    for v in said:
        verdict = f"[{v.verdict.value}]{v.verdict.value}[/{v.verdict.value}]"
        expected = f"[quiet]{escape(v.expected)}[/quiet]"
        rows.add_row(wording.named(v.validator), escape(v.of), verdict, escape(v.measured), expected)
    out.print("[head]Resilience validation[/head]")
    out.print(rows)
    out.print()


def findings(found: Sequence[Finding], out: Console = terminal) -> None:
    """One row a finding: weakness, where, evidence, remedy."""
    if not found:
        out.print("No weakness was found.")
        return
    rows = table("weakness", "where", "what was seen, and what to do", gap=1)
    for finding in found:
        what = f"{escape(wording.named(finding.weakness.value))}\n[quiet]{finding.severity.value}[/quiet]"
        seen = f"{escape(finding.evidence)}\n[quiet]Remedy:[/quiet] {escape(finding.remedy)}"
        rows.add_row(what, escape(finding.place), seen)
    out.print(rows)


def outcome(evidence: Evidence, out: Console = terminal) -> None:
    """How the run ended, and whether anything is owed."""
    undone = sum(len(result.reverts) for result in evidence.results)
    if evidence.outcome != "completed":
        out.print(f"[aborted]{escape(words.cut_short(evidence))}[/aborted]")
    if evidence.owed:
        out.print(f"[breaks]Still owed: {escape('; '.join(evidence.owed))}. Run murphy recover.[/breaks]")
    else:
        faults = wording.many(undone, "fault")
        out.print(f"Run {evidence.run} {evidence.outcome}; {faults} undone, each asked for and found gone.")


def table(*columns: str, gap: int = 0) -> Table:
    """An empty table in the house's style; long text folds. ``gap``: empty lines after each row."""
    made = Table(box=None, padding=(0, 2, gap, 0), header_style="head")
    for column in columns:
        made.add_column(column, overflow="fold", no_wrap=column in ("verdict", "P(breaks)"))
    return made
