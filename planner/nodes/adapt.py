"""``adapt``: what this run suggests to do next, as experiments for the next session and in words."""

from __future__ import annotations

from executor.run.engine import load_evidence
from knowledge.ledger import Ledger
from planner.adapt import next_ideas
from planner.adapting.next import next_of
from planner.beliefs import recollect
from planner.state import State, plan_of, system_of
from planner.tools import Tools


def adapt(state: State, tools: Tools) -> State:
    """Follow-ups from all that the ledger holds, and ideas beside them, from the beliefs as they are now."""
    evidence = load_evidence(tools.home, state["run"] or "")
    if evidence is None:
        return {"ideas": [], "follow_ups": []}
    tools.progress("adapt", "what to try next")
    system = system_of(state)
    known = recollect(tools.home, system)
    with Ledger.open(tools.home) as ledger:
        ahead = next_of(known.made, ledger.actions(system.name), system)
    return {
        "follow_ups": [each.model_dump(mode="json") for each in ahead.follow_ups],
        "ideas": list(next_ideas(plan_of(state), evidence, known.beliefs, system, ahead)),
    }
