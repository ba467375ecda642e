"""What searches for a capacity have found, on the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape

from executor.model.capacity import Capacity
from executor.model.evidence import Evidence
from executor.model.wording import percent
from planner.capacity import largest, told
from planner.cli.output import out as terminal
from planner.cli.results_view import table

MARKS = {"stable": "holds", "violated": "breaks"}


def capacities(evidence: Evidence, out: Console = terminal) -> None:
    """What each search found, in words, and its rates; of several, first what differs."""
    found = [(result.experiment, each) for result in evidence.results for each in result.capacities]
    if len(found) > 1:
        rows = table("experiment", "largest rate", "far beyond it", "used up first", "after an overload")
        for experiment, each in found:
            kept = "" if each.beyond is None else percent(each.beyond.value)
            rows.add_row(escape(experiment), escape(largest(each)), kept, each.saturated, each.after)
        out.print(rows)
    for result in evidence.results:
        for capacity in result.capacities:
            out.print(f"[head]{escape(capacity.instance)}[/head] in {escape(result.experiment)}")
            for name, text in told(capacity):
                out.print(f"  {name}: {escape(text)}", soft_wrap=True)
            out.print(_levels(capacity))


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
