"""A run beside which the error budget runs out is ended, and everything is undone."""

from __future__ import annotations

from pathlib import Path

import pytest

from executor.errors import SafetyRefusalError
from executor.model.evidence import Event, EventKind
from executor.run.engine import run
from executor.safety.limits import ErrorBudget, Limits
from executor.state.home import Home
from executor.state.journal import Journal
from tests.executor.kit import LIMITS, approve, experiment_on, plan_of, shelves, system_of


def test_a_budget_that_runs_out_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("executor.run.budgeting.EVERY_S", 0.1)
    home, file = Home.open(tmp_path / "home"), tmp_path / "budget.json"
    limits = Limits(**{**dict(LIMITS), "error_budget": ErrorBudget(source=str(file), floor=0.3)})
    with shelves("base") as (base,):
        system = system_of([base])
        plan = plan_of(system, (experiment_on(system, "base", duration_s=30),))
        approval = approve(home, plan, limits)

        def spend(event: Event) -> None:
            if event.kind is EventKind.INJECTED:
                file.write_text('{"left": 0.29}')

        file.write_text('{"left": 0.2}')
        with pytest.raises(SafetyRefusalError, match="error budget: 20 % is left, and the limit is at least 30 %"):
            run(plan, approval, system=system, limits=limits, home=home)
        file.write_text('{"left": 0.3}')
        evidence = run(plan, approval, system=system, limits=limits, home=home, report=spend)
        assert evidence.outcome == "aborted"
        (ended,) = [event.detail for event in evidence.timeline if event.kind is EventKind.ABORTED]
        assert ended.startswith("error budget: 29 % is left")
        assert not base.stopped()
    journal = Journal(home.journal)
    assert journal.pending() == []
    journal.close()
