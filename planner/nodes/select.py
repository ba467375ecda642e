"""``select``: the experiments that teach most for their time and risk, as a plan."""

from __future__ import annotations

from executor.errors import InputError
from executor.model.plan import Experiment
from experts.brief import Brief
from planner.adapting.follow_up import FollowUp
from planner.adapting.next import worth_of
from planner.assemble import assemble
from planner.optimise import Selection
from planner.optimise import select as choose
from planner.possible import absent
from planner.shown import shows
from planner.state import Json, State, brief_of, limits_of
from planner.tools import Tools
from planner.worth import Told


def select(state: State, tools: Tools) -> State:
    """Choose and order. Raises ``InputError`` if there is nothing to choose from."""
    brief = brief_of(state)
    candidates = [Experiment.model_validate(each) for each in state["candidates"]]
    chosen = choose(candidates, brief, limits_of(state), told(state, brief))
    if not chosen.experiments:
        raise InputError(
            f"there is no experiment to plan: {absent(brief.system) or _why(state, chosen.reason)}.",
            where=brief.system.name,
            hint="Ask for more, or tell more of the system: operations, what they need, and how its edges are reached.",
        )
    plan = assemble(chosen, brief, plan_id=state["plan_id"], proposer=state["proposer"], candidates=len(candidates))
    tools.progress("select", f"{len(chosen.experiments)} of {len(candidates)} candidates")
    return {"plan": plan.model_dump(mode="json"), "front": _front(chosen, candidates)}


def told(state: State, brief: Brief) -> Told:
    """What the twin, as far as it was asked, and earlier runs say of the candidates."""
    rehearsed = {
        name: float(outlook["gain_bits"])
        for rehearsal in state.get("rehearsals", {}).values()
        for name, outlook in rehearsal["hypotheses"].items()
        if outlook.get("simulated")
    }
    asked = worth_of([FollowUp.model_validate(each) for each in state.get("follow_ups", [])])
    return Told(rehearsed, asked, shows(brief))


def _front(chosen: Selection, candidates: list[Experiment]) -> list[Json]:
    """One row a candidate on the Pareto front or in the plan, the most valuable first."""
    recommended = {experiment.id for experiment in chosen.experiments}
    titles = {experiment.id: experiment.title for experiment in candidates}
    rows = [
        {
            "experiment": name,
            "title": titles[name],
            "value": round(one.value, 4),
            "risk": round(one.risk, 4),
            "seconds": round(one.seconds, 1),
            "front": name in chosen.front,
            "recommended": name in recommended,
        }
        for name, one in chosen.judged.items()
        if name in recommended or name in chosen.front
    ]
    return sorted(rows, key=lambda row: (-float(str(row["value"])), str(row["experiment"])))


def _why(state: State, reason: str) -> str:
    notes = state.get("notes", [])
    return notes[-1] if notes and not state["candidates"] else reason
