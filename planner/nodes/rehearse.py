"""``rehearse``: what each candidate would do, before anything is done; what would go too far is left out."""

from __future__ import annotations

from executor.model.plan import Experiment
from planner.rehearsal import rehearse as foresee
from planner.rehearsal import running, too_far
from planner.state import Json, State, brief_of, limits_of, system_of
from planner.tools import Tools
from planner.twin import informed, kept, twin_of


def rehearse(state: State, tools: Tools) -> State:
    """Keep the candidates that no rule and no predicted impact speaks against; add the twin's word to their numbers."""
    system, limits = system_of(state), limits_of(state)
    every, twin = running(system), twin_of(tools.home, system, brief_of(state).beliefs)
    candidates: list[Json] = []
    rehearsals: dict[str, Json] = {}
    refused: dict[str, list[str]] = {}
    for raw in state["candidates"]:
        experiment = Experiment.model_validate(raw)
        reasons = foresee(experiment, system, limits, every)
        if not reasons:
            rehearsal = twin.rehearse(experiment)
            reasons = too_far(rehearsal, system, limits)
        if reasons:
            refused.setdefault(reasons[0], []).append(experiment.title)
            continue
        candidates.append(informed(experiment, rehearsal, state["weights"]).model_dump(mode="json"))
        rehearsals[experiment.id] = kept(rehearsal)
    tools.progress("rehearse", f"{len(candidates)} of {len(state['candidates'])} candidates may be tried")
    notes = [_left_out(titles, reason) for reason, titles in refused.items()]
    return {"candidates": candidates, "rehearsals": rehearsals, "notes": notes}


def _left_out(titles: list[str], reason: str) -> str:
    """One line for all that are left out for the same reason."""
    first, *others = titles
    are = f"and {len(others)} more are" if others else "is"
    return f"“{first}” {are} left out: {reason}"
