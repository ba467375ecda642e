"""``brief``: what every expert is told, and what cannot be done here and now."""

from __future__ import annotations

from executor.model.system import System
from experts.brief import Brief
from planner.possible import possible
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
            "unsupported": _unsupported(system),
            **state["recalled"],
        }
    )
    return {"brief": told.model_dump(mode="json")}


def _unsupported(system: System) -> tuple[tuple[str, str], ...]:
    places = [service.name for service in system.services] + [edge.place for edge in system.dependencies]
    return tuple(
        (f"{kind} at {place}", reason[:400])
        for place in places
        for kind, reason in possible(system, place).items()
        if reason
    )
