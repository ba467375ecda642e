"""``rehearse``: what each candidate would do, before anything is done; what would go too far is left out."""

from __future__ import annotations

from executor.model.plan import Experiment
from planner.nodes.select import told
from planner.optimise import promising
from planner.rehearsal import rehearse as foresee
from planner.rehearsal import running, too_far
from planner.state import Json, State, brief_of, limits_of, system_of
from planner.tools import Tools
from planner.twin import informed, kept, twin_of

MANY = 120
"""So many candidates are rehearsed at least, if there are so many."""
EACH = 6
"""And for each experiment that was asked for so many: enough to choose from."""


def rehearse(state: State, tools: Tools, *, most: int | None = None) -> State:
    """Keep the candidates that no rule and no predicted impact speaks against; add the twin's word to their numbers.

    Of a large system there are thousands, and to play one through takes long. So the most promising are rehearsed, in
    the order in which they would be taken, until there are enough to choose from: ``most``, if it is said.
    """
    system, limits, brief = system_of(state), limits_of(state), brief_of(state)
    every, twin = running(system), twin_of(tools.home, system, brief.beliefs)
    enough = most or max(MANY, EACH * brief.constraints.experiments_max)
    candidates: list[Json] = []
    rehearsals: dict[str, Json] = {}
    refused: dict[str, list[str]] = {}
    compiled = [Experiment.model_validate(raw) for raw in state["candidates"]]
    for experiment in promising(compiled, brief, told(state, brief)):
        if len(candidates) >= enough:
            break
        reasons = foresee(experiment, system, limits, every)
        if not reasons:
            rehearsal = twin.rehearse(experiment)
            reasons = too_far(rehearsal, system, limits)
        if reasons:
            refused.setdefault(reasons[0], []).append(experiment.title)
            continue
        candidates.append(informed(experiment, rehearsal, state["weights"]).model_dump(mode="json"))
        rehearsals[experiment.id] = kept(rehearsal)
    candidates.sort(key=lambda each: str(each["id"]))
    tools.progress("rehearse", f"{len(candidates)} of {len(compiled)} candidates, the most promising, may be tried")
    notes = [_left_out(titles, reason) for reason, titles in refused.items()]
    return {"candidates": candidates, "rehearsals": rehearsals, "notes": notes}


def _left_out(titles: list[str], reason: str) -> str:
    """One line for all that are left out for the same reason."""
    first, *others = titles
    are = f"and {len(others)} more are" if others else "is"
    return f"“{first}” {are} left out: {reason}"
