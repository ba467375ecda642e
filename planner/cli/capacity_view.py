"""What searches for a capacity have found, on the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.markup import escape

from executor.model.capacity import Capacity
from executor.model.evidence import Evidence
from executor.model.wording import duration, number, percent
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


def told(found: Capacity) -> Iterator[tuple[str, str]]:
    """What was found, by name."""
    promise = f"{percent(found.good_share)} of them within {duration(found.good_within_ms / 1000)}"
    yield f"largest rate that is answered {promise}", largest(found)
    if found.beyond is not None and found.beyond_rps is not None:
        kept = f"{percent(found.beyond.value)} ({found.beyond.low * 100:.0f}–{percent(found.beyond.high)}) of its most"
        yield f"at {found.beyond_rps:.0f} requests/s it serves in time", kept
    if found.knee is not None:
        knee = f"{found.knee.value:.0f} requests/s ({found.knee.low:.0f}–{found.knee.high:.0f})"
        yield "latency turns up at", f"{knee}; {found.knee_why}"
    if found.cliff_at_rps is not None:
        yield "cliff", f"{found.cliff} beyond {found.cliff_at_rps:.0f} requests/s; {found.cliff_why}"
    yield "scaling", f"{found.scaling}; {found.scaling_why}{_law(found)}"
    yield "used up first", f"{found.saturated}; {found.saturated_why}"
    yield "fails by", f"{found.failure}; {found.failure_why}"
    yield "after an overload", f"{found.after}; {found.after_why}"


def largest(found: Capacity) -> str:
    """The largest rate, in words."""
    sure = f", {found.confidence * 100:.0f} % sure" if found.confidence else ""
    match found.maximum:
        case "found":
            return f"between {number(found.low_rps or 0)} and {number(found.high_rps or 0)} requests/s{sure}"
        case "at_least":
            return f"at least {number(found.low_rps or 0)} requests/s{sure}; {found.why}"
        case "below":
            return f"below {number(found.high_rps or 0)} requests/s{sure}; {found.why}"
        case _:
            return f"inconclusive; {found.why}"


def _law(found: Capacity) -> str:
    if found.contention is None or found.coherency is None:
        return ""
    sigma, kappa = found.contention, found.coherency
    peak = f", largest at {found.peak_concurrency:.0f} under way" if found.peak_concurrency else ""
    return (
        f" (σ {sigma.value:.3f}, {sigma.low:.3f}–{sigma.high:.3f}; "
        f"κ {kappa.value:.5f}, {kappa.low:.5f}–{kappa.high:.5f}{peak})"
    )


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
