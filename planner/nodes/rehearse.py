"""``rehearse``: what each candidate would do, before anything is done; what would go too far is left out."""

from __future__ import annotations

from typing import Any

from executor.model.plan import Experiment
from planner.rehearsal import rehearse as foresee
from planner.rehearsal import running
from planner.state import State, limits_of, system_of
from planner.tools import Tools


def rehearse(state: State, tools: Tools) -> State:
    """Keep the candidates that no rule and no predicted impact speaks against."""
    system, limits = system_of(state), limits_of(state)
    every = running(system)
    kept: list[dict[str, Any]] = []
    refused: dict[str, list[str]] = {}
    for raw in state["candidates"]:
        experiment = Experiment.model_validate(raw)
        reasons = foresee(experiment, system, limits, every)
        if reasons:
            refused.setdefault(reasons[0], []).append(experiment.title)
        else:
            kept.append(raw)
    tools.progress("rehearse", f"{len(kept)} of {len(state['candidates'])} candidates may be tried")
    return {"candidates": kept, "notes": [_left_out(titles, reason) for reason, titles in refused.items()]}


def _left_out(titles: list[str], reason: str) -> str:
    """One line for all that are left out for the same reason."""
    first, *others = titles
    are = f"and {len(others)} more are" if others else "is"
    return f"“{first}” {are} left out: {reason}"
