"""The experts' track record on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape

from experts.track_record import Record
from planner.cli.output import out as terminal
from planner.cli.results_view import table


def show(records: Sequence[Record], out: Console = terminal) -> None:
    """One row an expert: how many predictions came to a verdict, how good they were, and what weight that gives."""
    if not records:
        out.print("No prediction has met a verdict yet.")
        return
    rows = table("expert", "predictions", "log score", "Brier", "said", "came true", "weight")
    for record in records:
        rows.add_row(
            escape(record.expert),
            str(record.n),
            f"{record.log_score:.3f}",
            f"{record.brier:.3f}",
            f"{record.mean_predicted:.0%}",
            f"{record.mean_outcome:.0%}",
            f"{record.weight:.2f}",
        )
    out.print(rows)
    out.print(
        "Log score and Brier: lower is better. A coin that always says 50 % scores 0.693 and 0.250.", style="quiet"
    )
