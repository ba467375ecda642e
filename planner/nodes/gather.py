"""``gather``: all proposals are there; equal ones of several experts stay, since each is an opinion of its own."""

from __future__ import annotations

from planner.state import State
from planner.tools import Tools


def gather(state: State, tools: Tools) -> State:
    """Nothing but the point at which the council has been heard."""
    tools.progress("gather", f"{len(state.get('proposals', []))} proposals")
    return {}
