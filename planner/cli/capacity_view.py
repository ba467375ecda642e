"""What searches for a capacity have found, on the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape

from executor.model.capacity import Capacity
from executor.model.evidence import Evidence
from planner.capacity import told
from planner.cli.output import out as terminal
from planner.cli.results_view import table

MARKS = {"stable": "holds", "violated": "breaks"}


def capacities(evidence: Evidence, out: Console = terminal) -> None:
    """What each search found, in words, and its rates."""
    for result in evidence.results:
        for found in result.capacities:
            out.print(f"[head]{escape(found.instance)}[/head] in {escape(result.experiment)}")
            for name, text in told(found):
                out.print(f"  {name}: {escape(text)}", soft_wrap=True)
            out.print(_levels(found))


def _levels(found: Capacity) -> object:
    rows = table("requests/s", "in time/s", "", "p50 ms", "p95 ms", "p99 ms", "under way")
    for each in found.levels:
        mark = MARKS.get(each.outcome, "inconclusive")
        rows.add_row(
            f"{each.offered_rps:.1f}",
            f"{each.goodput_rps:.1f}",
            f"[{mark}]{each.outcome}[/{mark}]",
            *(
                "" if ms is None else f"{ms:.0f}"
                for ms in (each.latency_p50_ms, each.latency_p95_ms, each.latency_p99_ms)
            ),
            "" if each.concurrency is None else f"{each.concurrency:.1f}",
        )
    return rows


def _ms(latency_ms: float | None) -> str:
    return "" if latency_ms is None else f"{latency_ms:.0f}"
