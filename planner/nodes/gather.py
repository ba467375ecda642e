"""``gather``: all proposals are there, and with them what past results ask for; the experts weigh that like any other.

Equal ones of several experts stay, since each is an opinion of its own.
"""

from __future__ import annotations

from planner.state import State
from planner.tools import Tools


def gather(state: State, tools: Tools) -> State:
    """The point at which the council has been heard."""
    asked = [proposal for each in state.get("follow_ups", []) for proposal in each["proposals"]]
    tools.progress("gather", f"{len(state.get('proposals', [])) + len(asked)} proposals")
    return {"proposals": asked} if asked else {}
