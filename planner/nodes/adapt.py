"""``adapt``: what this run suggests to do next, or why there is nothing more to do."""

from __future__ import annotations

from executor.run.engine import load_evidence
from planner.adapt import next_ideas
from planner.beliefs import recollect
from planner.state import State, plan_of, system_of
from planner.tools import Tools


def adapt(state: State, tools: Tools) -> State:
    """Ideas for the next plan, from the beliefs as they are now."""
    evidence = load_evidence(tools.home, state["run"] or "")
    if evidence is None:
        return {"ideas": []}
    tools.progress("adapt", "what to try next")
    system = system_of(state)
    return {"ideas": list(next_ideas(plan_of(state), evidence, recollect(tools.home, system).beliefs, system))}
