"""``brief``: what every expert is told, and what cannot be done here and now."""

from __future__ import annotations

from experts.brief import Brief
from planner.possible import unsupported
from planner.state import State, constraints_of, system_of
from planner.tools import Tools


def brief(state: State, tools: Tools) -> State:
    """Put the brief together. Resolves targets to see what is possible; touches none."""
    tools.progress("brief", "what can be done here, and what not")
    system = system_of(state)
    told = Brief.model_validate(
        {
            "system": system,
            "goal": state["goal"],
            "constraints": constraints_of(state),
            "unsupported": unsupported(system),
            **state["recalled"],
        }
    )
    return {"brief": told.model_dump(mode="json")}
