"""What is told of a run while it goes on: the size of a fault, among all else."""

from __future__ import annotations

import io
from datetime import UTC, datetime

from rich.console import Console

from executor.model.evidence import Event, EventKind
from executor.model.faults.service import Hang
from executor.model.system import System
from planner.cli.live import Live
from tests.executor.kit import experiment_on, plan_of, shelves


def test_how_big_a_fault_was_is_told_when_it_ends() -> None:
    with shelves("books") as (books,):
        system = System(name="library", services=(books.service(),))
        plan = plan_of(system, (experiment_on(system, "books", Hang()),))
    said = io.StringIO()
    with Live(plan, Console(file=said, width=200)) as live:
        for kind, detail in ((EventKind.INJECTED, "made"), (EventKind.MEASURED, "30 % asked, 29.4 % of 2,000 lost")):
            now = datetime.now(UTC)
            live(Event(kind=kind, at_s=2.5, wall=now, experiment=plan.experiments[0].id, trial=1, detail=detail))
    assert "2.50 s  measured  30 % asked, 29.4 % of 2,000 lost" in said.getvalue()
