"""What runs have shown moves the next plan: other experiments, and the runs are cited."""

from __future__ import annotations

from datetime import UTC, datetime

from executor.model.digest import digest
from executor.model.evidence import Event, EventKind, Evidence, ExperimentResult, HypothesisResult
from executor.model.plan import Plan
from executor.model.vocabulary import Verdict
from executor.safety.limits import Limits
from executor.state.home import Home
from experts.brief import Brief, Constraints
from experts.roster import council
from knowledge.findings import findings
from knowledge.ledger import Ledger
from planner import words
from planner.adapt import next_ideas
from planner.assemble import assemble
from planner.beliefs import recollect
from planner.compile import compile_candidates
from planner.optimise import select
from tests.planner.systems import bazaar

RUN = "run-0123456789ab"
BREAKING = 3
"""So many of the first plan's hypotheses break, the rest holds."""


def planned(home: Home, plan_id: str, experiments: int = 6) -> Plan:
    """As the graph plans: recall, brief, propose, critique, compile, select."""
    known = recollect(home, bazaar())
    brief = Brief(
        system=bazaar(),
        beliefs=known.known,
        past=known.past,
        constraints=Constraints(experiments_max=experiments, seconds_max=600),
    )
    proposals = [p for expert in council() for p in expert.propose(brief)]
    critiques = [c for expert in council() for c in expert.critique(proposals, brief)]
    found = compile_candidates(proposals, critiques, brief, limits=Limits(), weights={})
    chosen = select(found.experiments, brief)
    return assemble(chosen, brief, plan_id=plan_id, proposer="tester", candidates=len(found.experiments))


def evidence_for(plan: Plan, verdicts: dict[str, Verdict]) -> Evidence:
    results = tuple(
        ExperimentResult(
            experiment=e.id,
            trials=1,
            hypotheses=tuple(
                HypothesisResult(
                    hypothesis=h.id,
                    weakness=h.weakness,
                    place=h.place,
                    verdict=verdicts[h.id],
                    reason="seen",
                    predicted=h.prediction.probability_breaks,
                )
                for h in e.hypotheses
            ),
            figures=(),
            reverts=(),
        )
        for e in plan.experiments
    )
    return Evidence(
        run=RUN,
        plan_id=plan.id,
        plan_digest=digest(plan),
        limits_digest=digest(Limits()),
        system_digest=plan.system_digest,
        environment=plan.environment,
        approver="tester",
        started=datetime.now(UTC),
        duration_s=60,
        outcome="completed",
        timeline=(),
        targets=(),
        results=results,
        observation_count=0,
        versions={},
        cost={},
    )


def test_the_second_plan_is_another_and_says_why(home: Home) -> None:
    first = planned(home, "plan-1")
    hypotheses = [h.id for e in first.experiments for h in e.hypotheses]
    assert len(first.experiments) > 2
    verdicts = {name: Verdict.BREAKS if n < BREAKING else Verdict.HOLDS for n, name in enumerate(hypotheses)}
    evidence = evidence_for(first, verdicts)
    with Ledger.open(home) as ledger:
        ledger.record(first, evidence, findings(first, evidence, bazaar()), bazaar())

    ideas = next_ideas(first, evidence, recollect(home, bazaar()).beliefs, bazaar())
    assert any("another kind of fault" in idea for idea in ideas)
    assert not any("hard dependency" in idea and "“leave every" in idea for idea in ideas)  # which could not be judged
    assert "still open" in ideas[-1]

    second = planned(home, "plan-2")
    assert not {e.id for e in first.experiments} & {e.id for e in second.experiments}
    assert RUN in second.rationale
    longer = planned(home, "plan-2", experiments=30)
    assert not {e.id for e in first.experiments} & {e.id for e in longer.experiments}
    assert any(RUN in e.rationale for e in longer.experiments)


def test_what_a_run_left_unasked_is_one_idea_and_it_is_said_how_far_it_came(home: Home) -> None:
    first = planned(home, "plan-1")
    asked = [h.id for e in first.experiments for h in e.hypotheses]
    whole = evidence_for(first, dict.fromkeys(asked, Verdict.ABORTED))
    begun = Event(kind=EventKind.INJECTED, at_s=1, wall=whole.started, experiment=first.experiments[0].id)
    ended = Event(kind=EventKind.ABORTED, at_s=2, wall=whole.started, detail="it was stopped")
    evidence = whole.model_copy(update={"outcome": "interrupted", "timeline": (begun, ended)})
    ideas = next_ideas(first, evidence, (), bazaar())
    assert ideas[0] == f"Plan again: {len(asked)} questions got no answer, as the run was cut short."
    assert not any("aborted" in idea for idea in ideas)
    said = f"Cut short after 1 of {len(first.experiments)} experiments: it was stopped."
    assert words.cut_short(evidence) == said


def test_equal_knowledge_gives_the_same_plan(home: Home) -> None:
    assert planned(home, "plan-1") == planned(home, "plan-1")
