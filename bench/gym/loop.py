"""The real planner on a simulated system: its own steps in its own order, with the run simulated."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, cast

from bench.gym import simulated
from bench.gym.outcomes import Outcomes, Result
from executor.errors import InputError, SafetyRefusalError
from executor.model.plan import Experiment
from executor.safety.limits import BlastRadius, Limits
from executor.state.home import Home
from experts.brief import Constraints
from experts.expert import Expert
from planner.graph import STEPS
from planner.nodes.critique import critique
from planner.nodes.propose import propose
from planner.nodes.rehearse import rehearse
from planner.shelf import Shelf
from planner.state import Asked, State
from planner.tools import Tools

SESSION = 12
"""Experiments that a session may plan, after which it learns and plans anew."""
SESSION_S = 600.0
LIMITS = Limits(
    blast_radius=BlastRadius(instances_percent=25, services_percent=25, traffic_percent=100), concurrent_faults_max=2
)


@dataclass(frozen=True)
class Trained:
    """What a planner did on a system, an experiment after another."""

    experiments: tuple[tuple[Experiment, Result], ...]
    why: str
    """Why it stopped."""


def candidates(outcomes: Outcomes, home: Home, experts: Sequence[Expert]) -> tuple[Experiment, ...]:
    """All that the planner would choose from at first."""
    with closing(Shelf(home.sessions)) as shelf:
        state = _begin(outcomes, home, "candidates")
        tools = Tools(home, shelf, tuple(experts))
        _steps(state, tools, outcomes, lambda _e, _r: None, until="compile")
        _take(state, rehearse(state, tools, most=len(state["candidates"])))
        return tuple(Experiment.model_validate(each) for each in state["candidates"])


def train(outcomes: Outcomes, home: Home, experts: Sequence[Expert], *, budget: int, session: int = SESSION) -> Trained:
    """Plan, run and learn, session after session, until the budget of experiments is spent or nothing is worth it."""
    done: list[tuple[Experiment, Result]] = []
    number, why = 0, f"the budget of {budget} experiments is spent"
    with closing(Shelf(home.sessions)) as shelf:
        tools = Tools(home, shelf, tuple(experts))
        while len(done) < budget:
            number += 1
            state = _begin(outcomes, home, f"{outcomes.ground.system.name}-{number}", min(session, budget - len(done)))
            try:
                _steps(state, tools, outcomes, lambda e, r: done.append((e, r)))
            except (InputError, SafetyRefusalError) as error:
                why = str(error)
                break
    return Trained(tuple(done), why)


def _begin(outcomes: Outcomes, home: Home, name: str, experiments: int = SESSION) -> State:
    del home
    given: dict[str, Any] = {
        "plan_id": name,
        "system": outcomes.ground.system.model_dump(mode="json"),
        "goal": "Find out what breaks before users do.",
        "constraints": Constraints(experiments_max=experiments, seconds_max=SESSION_S).model_dump(mode="json"),
        "limits": LIMITS.model_dump(mode="json"),
        "proposer": "gym",
        "proposals": [],
        "critiques": [],
        "notes": [],
    }
    return cast("State", given)


def _steps(state: State, tools: Tools, outcomes: Outcomes, report: Any, *, until: str | None = None) -> None:
    """The graph's steps, in its order; the state changes as its reducers would change it."""
    for name, step in STEPS:
        if name == "brief":
            _take(state, simulated.brief(state, tools))
            for expert in tools.experts:
                _take(state, propose(_asked(state, expert.name, []), tools))
        elif name == "approve":
            continue
        elif name == "run":
            _take(state, simulated.run(state, tools, outcomes, f"run-{state['plan_id']}", report))
        else:
            _take(state, step(state, tools))
        if name == "gather":
            ordered = sorted(state["proposals"], key=lambda p: (p["expert"], p["weakness"], p["place"], str(p)))
            for expert in tools.experts:
                _take(state, critique(_asked(state, expert.name, ordered), tools))
        if name == until:
            return


def _asked(state: State, expert: str, proposals: list[Any]) -> Asked:
    return {"plan_id": state["plan_id"], "expert": expert, "brief": state["brief"], "proposals": proposals}


def _take(state: State, given: State) -> None:
    held = cast("dict[str, Any]", state)
    for key, value in cast("dict[str, Any]", given).items():
        held[key] = [*held[key], *value] if key in ("proposals", "critiques", "notes") else value
