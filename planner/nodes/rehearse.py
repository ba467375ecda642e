"""``rehearse``: what each candidate would do, before anything is done; what would go too far is left out."""

from __future__ import annotations

from executor.model.plan import Experiment
from planner.rehearsal import rehearse as foresee
from planner.state import State, limits_of, system_of
from planner.tools import Tools


def rehearse(state: State, tools: Tools) -> State:
    """Keep the candidates that no rule and no predicted impact speaks against."""
    system, limits = system_of(state), limits_of(state)
    kept, refused = [], []
    for raw in state["candidates"]:
        experiment = Experiment.model_validate(raw)
        reasons = foresee(experiment, system, limits)
        if reasons:
            refused.append(f"“{experiment.title}” is left out: {reasons[0]}")
        else:
            kept.append(raw)
    tools.progress("rehearse", f"{len(kept)} of {len(state['candidates'])} candidates may be tried")
    return {"candidates": kept, "notes": refused}
