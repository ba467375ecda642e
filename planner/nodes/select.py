"""``select``: the experiments that teach most for their time and risk, as a plan."""

from __future__ import annotations

from executor.errors import InputError
from executor.model.plan import Experiment
from planner.assemble import assemble
from planner.optimise import select as choose
from planner.possible import absent
from planner.state import State, brief_of, limits_of
from planner.tools import Tools


def select(state: State, tools: Tools) -> State:
    """Choose and order. Raises ``InputError`` if there is nothing to choose from."""
    brief = brief_of(state)
    candidates = [Experiment.model_validate(each) for each in state["candidates"]]
    chosen = choose(candidates, brief, limits_of(state))
    if not chosen.experiments:
        raise InputError(
            f"there is no experiment to plan: {absent(brief.system) or _why(state, chosen.reason)}.",
            where=brief.system.name,
            hint="Ask for more, or tell more of the system: operations, what they need, and how its edges are reached.",
        )
    plan = assemble(chosen, brief, plan_id=state["plan_id"], proposer=state["proposer"], candidates=len(candidates))
    tools.progress("select", f"{len(chosen.experiments)} of {len(candidates)} candidates")
    return {"plan": plan.model_dump(mode="json")}


def _why(state: State, reason: str) -> str:
    notes = state.get("notes", [])
    return notes[-1] if notes and not state["candidates"] else reason
