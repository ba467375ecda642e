"""A fault ends before its time once the verdict is certain, and only then; on a real service behind a real proxy."""

from __future__ import annotations

from pathlib import Path

import pytest

from executor.model.criteria import SteadyState
from executor.model.evidence import EventKind, Evidence
from executor.model.faults.service import Error
from executor.model.plan import Action, EdgeTarget, Experiment, Hypothesis, Prediction
from executor.model.system import System
from executor.model.vocabulary import Verdict, Weakness
from executor.run.engine import run
from executor.run.rejudge import differences
from executor.run.trial import CERTAIN
from executor.state.home import Home
from tests.executor.injections import nothing_left
from tests.executor.kit import LIMITS, approve, plan_of, proxied

WHOLE_S = 8.0


def failing(system: System, check: str, fault: Error, *, whole_s: float) -> Experiment:
    """Fail calls of front to base; judged by one check."""
    hypothesis = Hypothesis(
        id="h1",
        weakness=Weakness.HARD_DEPENDENCY,
        place="front->base",
        statement=f"{check} keeps answering",
        criteria=(SteadyState(checks=(check,)),),
        prediction=Prediction(probability_breaks=0.5),
    )
    target = EdgeTarget(caller="front", callee="base")
    return Experiment(
        id="e1",
        title="base fails for front",
        hypotheses=(hypothesis,),
        checks=tuple(c for s in system.services for c in s.operations),
        actions=(Action(id="a1", fault=fault, target=target, duration_s=whole_s),),
        abort_conditions="none",
        baseline_s=0.5,
        recovery_deadline_s=5,
        ends_when_certain=True,
    )


def under_s(evidence: Evidence) -> float:
    """How long the fault was there."""
    at = {event.kind: event.at_s for event in evidence.timeline if event.action == "a1"}
    return at[EventKind.REVERTED] - at[EventKind.INJECTED]


@pytest.mark.parametrize(
    ("check", "whole_s", "early"), [("front", WHOLE_S, True), ("base", 1.5, False)], ids=["breaks", "holds"]
)
def test_users_are_hurt_no_longer_than_it_takes_to_be_certain(
    tmp_path: Path, home: Home, check: str, whole_s: float, early: bool
) -> None:
    with proxied(tmp_path) as (_, system):
        plan = plan_of(system, (failing(system, check, Error(), whole_s=whole_s),))
        evidence = run(plan, approve(home, plan), system=system, limits=LIMITS, home=home)
    (result,) = evidence.results
    assert evidence.outcome == "completed"
    assert result.hypotheses[0].verdict is (Verdict.BREAKS if early else Verdict.HOLDS)
    said = [event for event in evidence.timeline if event.kind is EventKind.MEASURED and CERTAIN in event.detail]
    assert bool(said) is early
    assert (under_s(evidence) < whole_s - 1) is early
    assert all(revert.reverted and revert.verified for revert in result.reverts)
    assert nothing_left(home)
    assert not differences(home, evidence)
