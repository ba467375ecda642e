"""The experts' track record on the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.markup import escape

from executor.model import wording
from experts.track_record import Against, Record
from experts.voices import of
from planner.cli.output import out as terminal
from planner.cli.results_view import table

CLASSES_SHOWN = 3


def show(records: Sequence[Record], against: Mapping[str, Against], out: Console = terminal) -> None:
    """One row an expert and model: how good its predictions were, what weight that gives, and where it is weakest."""
    if not records:
        out.print("No prediction has met a verdict yet.")
        return
    rows = table(
        "expert", "answered by", "predictions", "log score", "Brier", "said", "came true", "weight", "to its playbook"
    )  # fmt: skip
    for record in records:
        expert, model = of(record.expert)
        rows.add_row(
            escape(expert),
            escape(model),
            str(record.n),
            f"{record.log_score:.3f}",
            f"{record.brier:.3f}",
            f"{record.mean_predicted:.0%}",
            f"{record.mean_outcome:.0%}",
            f"{record.weight:.2f}",
            _compared(against.get(record.expert)),
        )
    out.print(rows)
    classes = table("expert", "least right about (log score, predictions)")
    for record in records:
        classes.add_row(escape(" ".join(of(record.expert))), _worst(record))
    out.print(classes)
    out.print(
        "Log score and Brier: lower is better. A coin that always says 50 % scores 0.693 and 0.250.", style="quiet"
    )
    worse = [each.expert for each in records if (found := against.get(each.expert)) and found.worse]
    if worse:
        out.print(f"Worse than its playbook alone: {', '.join(worse)}.", style="breaks", markup=False)


def _compared(against: Against | None) -> str:
    """How a model did beside the playbook, on what both were asked."""
    if against is None:
        return ""
    told = f"{against.log_score:.3f} to {against.offline_log_score:.3f} of {against.n}"
    return f"[breaks]worse[/breaks], {told}" if against.worse else told


def _worst(record: Record) -> str:
    ranked = sorted(record.by_weakness, key=lambda row: (-row[2], row[0]))[:CLASSES_SHOWN]
    return "; ".join(f"{wording.named(weakness)} {score:.2f} ({n})" for weakness, n, score in ranked)
