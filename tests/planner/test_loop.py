"""From the goal to what was learned, and on to the next plan: real processes, a real proxy, a real graph and memory."""

from __future__ import annotations

from contextlib import closing

from executor.model.digest import digest
from executor.model.evidence import EventKind
from executor.model.plan import Plan
from executor.model.vocabulary import Verdict, Weakness
from executor.proxy.edges import active
from executor.run.engine import load_evidence
from executor.state.journal import Journal
from knowledge.ledger import Ledger
from planner.session import Session
from tests.executor.kit import LIMITS, until
from tests.planner.turn import GOAL, Turn, begin


def test_the_graph_goes_every_step_to_the_approval_and_no_further(turn: Turn) -> None:
    steps = "recall brief propose gather critique compile rehearse select check approve"
    assert turn.stages == tuple(steps.split())
    assert turn.session.plan.goal == GOAL
    assert turn.session.plan.system_digest == digest(turn.system)
    assert len(turn.session.plan.experiments) == 1


def test_the_run_breaks_what_is_weak_and_holds_what_is_not(turn: Turn) -> None:
    (result,) = turn.outcome.evidence.results
    verdicts = {(h.weakness, h.place): h.verdict for h in result.hypotheses}
    assert turn.outcome.evidence.outcome == "completed"
    assert verdicts[Weakness.HARD_DEPENDENCY, "front->base"] is Verdict.BREAKS
    assert verdicts[Weakness.RETRY_STORM, "front->base"] is Verdict.HOLDS
    broken = {place for place, verdict in verdicts.items() if verdict is Verdict.BREAKS}
    assert {(f.weakness, f.place) for f in turn.outcome.findings} == broken
    assert all(finding.remedy for finding in turn.outcome.findings)
    assert turn.outcome.next_ideas
    scored = {name for e in turn.session.plan.experiments for h in e.hypotheses for name, _ in h.prediction.by}
    assert {record.expert for record in turn.outcome.track_record} <= scored
    assert len(turn.outcome.track_record) > 1


def test_the_run_was_told_live_and_is_kept(turn: Turn) -> None:
    told = [event.kind for event in turn.events]
    assert told[0] is EventKind.RUN_STARTED
    assert told[-1] is EventKind.RUN_FINISHED
    assert told.count(EventKind.INJECTED) == told.count(EventKind.REVERTED) == 1
    run = turn.outcome.evidence.run
    assert load_evidence(turn.home, run) == turn.outcome.evidence
    with Ledger.open(turn.home) as ledger:
        assert {row.run for row in ledger.past("library")} == {run}
        assert {finding.id for finding in ledger.findings()} == {finding.id for finding in turn.outcome.findings}


def test_nothing_of_the_fault_is_left(turn: Turn) -> None:
    assert turn.outcome.evidence.owed == ()
    assert all(r.reverted and r.verified for result in turn.outcome.evidence.results for r in result.reverts)
    with closing(Journal(turn.home.journal)) as journal:
        assert journal.pending() == []
        assert journal.running() == []
    (way,) = turn.system.dependencies
    assert way.interception is not None
    assert way.interception.kind == "managed_proxy"
    assert active(way.interception.control, f"murphy-{turn.outcome.evidence.run.removeprefix('run-')}-1") == []
    until(lambda: all(shelf.answers() for shelf in turn.running))


def test_the_next_session_chooses_differently_and_cites_the_run(turn: Turn) -> None:
    later = begin(turn.home, turn.system)
    assert later.plan.id != turn.session.plan.id
    assert not {e.id for e in later.plan.experiments} & {e.id for e in turn.session.plan.experiments}
    assert turn.outcome.evidence.run in later.plan.rationale
    assert any(f"1 earlier run of this system ({turn.outcome.evidence.run}) showed" in note for note in later.notes)


def test_an_edited_plan_is_not_the_sessions(turn: Turn) -> None:
    plan = turn.session.plan
    assert Session.find(turn.home, plan) is not None
    edited = Plan.model_validate({**plan.model_dump(), "goal": "Something else."})
    assert edited.id == plan.id
    assert Session.find(turn.home, edited) is None


def test_what_broke_can_be_planned_again_by_the_findings_own_words(turn: Turn) -> None:
    finding = turn.outcome.findings[0]
    again = finding.reproduce.rpartition(" ")[2]
    repeated = Session.repeat(turn.home, turn.system, again=again, limits=LIMITS, proposer="tester")
    assert repeated.plan.experiments == turn.session.plan.experiments
    assert turn.outcome.evidence.run in repeated.plan.rationale
