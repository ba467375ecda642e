"""``approve``: the loop waits for a signature. What it hands out is exactly what is to be signed."""

from __future__ import annotations

from langgraph.types import interrupt

from executor.model.digest import digest
from planner import words
from planner.state import State, limits_of, plan_of
from planner.tools import Tools


def approve(state: State, tools: Tools) -> State:
    """Wait; then take the approval and the limits it was given under. Nothing here can make or check a signature."""
    plan = plan_of(state)
    tools.progress("approve", "waiting for approval")
    given = interrupt(
        {
            "plan_digest": digest(plan),
            "limits_digest": digest(limits_of(state)),
            "environment": plan.environment.value,
            "summary": [words.action(action) for e in plan.experiments for action in e.actions],
        }
    )
    return {"approval": given["approval"], "limits": given["limits"], "use": given["use"]}
