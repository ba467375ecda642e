"""``check``: the same rules that the executor applies, so that a plan that passes here is accepted there."""

from __future__ import annotations

from executor.errors import SafetyRefusalError
from executor.model.plan import Plan
from executor.safety.rules import refusals
from planner.state import State, limits_of, plan_of, system_of
from planner.tools import Tools


def check(state: State, tools: Tools) -> State:
    """Drop from the end what the rules refuse of the whole. Raises their first refusal if nothing is left."""
    plan, system, limits = plan_of(state), system_of(state), limits_of(state)
    notes = []
    while found := refusals(plan, system, limits):
        if len(plan.stages) == 1:
            raise found[0]
        notes += [f"“{last.title}” is left out: {_clause(found[0])}" for last in plan.stages[-1].experiments]
        plan = Plan.model_validate({**plan.model_dump(), "stages": plan.stages[:-1]})
    tools.progress("check", f"{len(plan.experiments)} experiments pass every rule")
    return {"plan": plan.model_dump(mode="json"), "notes": notes}


def _clause(refusal: SafetyRefusalError) -> str:
    return f"{refusal.measured}, and the limit is {refusal.limit} ({refusal.rule})"
