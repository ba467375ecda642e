"""An approval of several uses, through a session: each use is a run that is learned from, and none is begun twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from executor.errors import SafetyRefusalError
from executor.run.engine import run_id
from executor.safety.limits import Limits
from executor.state.home import Home
from knowledge.ledger import Ledger
from planner.session import Session
from tests.executor.kit import LIMITS, approve, experiment_on, plan_of, shelves, system_of


def test_a_session_carries_a_plan_out_as_often_as_was_approved(tmp_path: Path) -> None:
    home = Home.open(tmp_path / "home")
    limits = Limits(**{**dict(LIMITS), "approval_uses_max": 2})
    with shelves("base") as (base,):
        system = system_of([base])
        plan = plan_of(system, (experiment_on(system, "base", duration_s=0.5),))
        approval = approve(home, plan, limits, uses=2)
        session = Session.adopt(home, plan, system, limits=limits)
        runs = [session.carry_out(approval, limits=limits).evidence.run for _ in range(2)]
        assert runs == [run_id(approval), run_id(approval, 2)]
        with pytest.raises(SafetyRefusalError, match=f"used by {runs[0]}, {runs[1]}, and the limit is 2 runs"):
            session.carry_out(approval, limits=limits)
        other = Session.adopt(home, plan, system, limits=limits)
        assert other.name == session.name
        with pytest.raises(SafetyRefusalError, match="and the limit is 2 runs"):
            other.carry_out(approval, limits=limits)
        with Ledger.open(home) as ledger:
            assert sorted(row.run for row in ledger.runs()) == runs


def test_a_plan_by_hand_runs_once_of_two_approvals_given_before(tmp_path: Path) -> None:
    """As by two people at one instant, each of whom finds no session of the plan yet."""
    home = Home.open(tmp_path / "home")
    with shelves("base") as (base,):
        system = system_of([base])
        plan = plan_of(system, (experiment_on(system, "base", duration_s=0.5),))
        first, second = (approve(home, plan, LIMITS) for _ in range(2))
        sessions = [Session.adopt(home, plan, system, limits=LIMITS) for _ in range(2)]
        done = sessions[0].carry_out(first, limits=LIMITS).evidence.run
        with pytest.raises(SafetyRefusalError, match=f"carried out under another approval, as {done}"):
            sessions[1].carry_out(second, limits=LIMITS)
        again = Session.adopt(home, plan, system, limits=LIMITS).carry_out(approve(home, plan, LIMITS), limits=LIMITS)
        with Ledger.open(home) as ledger:
            assert [row.run for row in ledger.runs()] == [done, again.evidence.run]
