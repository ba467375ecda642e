"""What a run left open is a candidate of the next session, by way of the ledger and of the graph's own steps."""

from __future__ import annotations

from contextlib import closing

import pytest

from executor.model.digest import digest
from executor.model.faults.network import Latency
from executor.model.plan import EdgeTarget, Plan, Stage
from executor.model.vocabulary import Verdict, Weakness
from executor.safety.limits import Limits
from executor.state.home import Home
from knowledge.findings import findings
from knowledge.ledger import Ledger
from planner.nodes.compile import compile as compile_
from planner.nodes.gather import gather
from planner.nodes.recall import recall
from planner.nodes.select import select
from planner.shelf import Shelf
from planner.state import State
from planner.tools import Tools
from tests.planner.systems import bazaar, brief_for, compiled, proposal
from tests.planner.test_learning import evidence_for

TIPS = EdgeTarget(caller="web", callee="tips")


@pytest.fixture
def ran(home: Home) -> Home:
    """A home in which a run has shown a missing bulkhead under a delay of 3 s."""
    system = bazaar()
    (experiment,) = compiled(proposal(Weakness.MISSING_BULKHEAD, "web->tips", Latency(delay_ms=3000), TIPS)).experiments
    plan = Plan(
        id="plan-1",
        system_name=system.name,
        system_digest=digest(system),
        environment=system.environment,
        proposer="tester",
        stages=(Stage(experiments=(experiment,)),),
    )
    evidence = evidence_for(plan, {h.id: Verdict.BREAKS for h in experiment.hypotheses})
    with Ledger.open(home) as ledger:
        ledger.record(plan, evidence, findings(plan, evidence, system), system)
    return home


def test_the_next_session_takes_up_the_line(ran: Home) -> None:
    with closing(Shelf(ran.sessions)) as shelf:
        tools = Tools(ran, shelf)
        state: State = {
            "system": bazaar().model_dump(mode="json"),
            "goal": "",
            "constraints": {},
            "limits": Limits().model_dump(mode="json"),
            "plan_id": "plan-2",
            "proposer": "tester",
            "brief": brief_for(bazaar()).model_dump(mode="json"),
            "proposals": [],
        }
        state.update(recall(state, tools))
        assert {each["why"] for each in state["follow_ups"]} >= {"bisect"}
        state.update(gather(state, tools))
        state.update(compile_(state, tools))
        faults = {each["actions"][0]["fault"].get("delay_ms"): each for each in state["candidates"]}
        assert faults[1500.0]["ends_when_certain"]
        assert not any(each["ends_when_certain"] for ms, each in faults.items() if ms != 1500.0)
        state.update(select(state, tools))
    chosen = [e["id"] for stage in state["plan"]["stages"] for e in stage["experiments"]]
    assert faults[1500.0]["id"] in chosen
    assert {row["experiment"] for row in state["front"] if row["recommended"]} == set(chosen)


def test_what_the_person_has_excluded_is_not_taken_up(ran: Home) -> None:
    with closing(Shelf(ran.sessions)) as shelf:
        tools = Tools(ran, shelf)
        state: State = {"system": bazaar().model_dump(mode="json"), "goal": "", "proposals": []}
        state["limits"] = Limits().model_dump(mode="json")
        state["brief"] = brief_for(bazaar(), excluded_services=("tips",)).model_dump(mode="json")
        state.update(recall(state, tools))
        state.update(gather(state, tools))
        assert state["proposals"]
        assert compile_(state, tools)["candidates"] == []
