"""What the graph carries from node to node: plain JSON values only, so that any process can take it up again."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Annotated, Any, Final, NoReturn, TypedDict, TypeVar

from pydantic import BaseModel, ValidationError

from executor.errors import InputError
from executor.model.approval import Approval
from executor.model.base import why_not
from executor.model.plan import Plan
from executor.model.system import System
from executor.safety.limits import Limits
from experts.brief import Brief, Constraints

Json = dict[str, Any]
Model = TypeVar("Model", bound=BaseModel)

VERSION: Final = 1
"""Of what the state holds and what its nodes make of it; sessions that were kept before it was written have 1 too."""


class State(TypedDict, total=False):
    """One planning session, from its goal to what was learned."""

    version: int
    plan_id: str
    origin: str
    """``SESSION@STEP`` that this one is a branch of; not there where it is none."""
    system: Json
    goal: str
    constraints: Json
    limits: Json
    proposer: str
    experts: list[list[str]]
    """Name of each, and who answers for it."""
    recalled: Json
    """``beliefs``, ``past`` and ``quotations`` of the brief."""
    brief: Json
    follow_ups: list[Json]
    """Experiments that past results ask for, ``planner.adapting.follow_up.FollowUp`` each."""
    weights: dict[str, float]
    """Of each expert's word, from the track record."""
    proposals: Annotated[list[Json], operator.add]
    critiques: Annotated[list[Json], operator.add]
    notes: Annotated[list[str], operator.add]
    """What a person should know of how the plan came to be."""
    candidates: list[Json]
    rehearsals: dict[str, Json]
    """By candidate: what the twin foresees of it, as ``planner.twin.kept`` says."""
    front: list[Json]
    """The Pareto front and what is recommended: ``experiment``, ``title``, ``value`` in bits as weighed, ``risk`` 0–2,
    ``seconds``, whether it is on the ``front`` and is ``recommended``."""
    plan: Json
    approval: Json | None
    use: int
    """Which of the approval's uses the run is; 1 where it is not said."""
    run: str | None
    findings: list[Json]
    ideas: list[str]


class Asked(TypedDict):
    """What one expert is asked, beside everything else."""

    plan_id: str
    expert: str
    brief: Json
    proposals: list[Json]
    """Empty while proposals are what is asked for."""


def system_of(state: Mapping[str, Any]) -> System:
    """The system that is planned for. Raises ``InputError``, as all of these, for what another version has kept."""
    return _kept(System, state, "system")


def brief_of(state: Mapping[str, Any]) -> Brief:
    """The brief that the experts get."""
    return _kept(Brief, state, "brief")


def limits_of(state: Mapping[str, Any]) -> Limits:
    """The operator's limits."""
    return _kept(Limits, state, "limits")


def plan_of(state: Mapping[str, Any]) -> Plan:
    """The plan, once there is one."""
    return _kept(Plan, state, "plan")


def constraints_of(state: Mapping[str, Any]) -> Constraints:
    """What was asked for."""
    return _kept(Constraints, state, "constraints")


def approval_of(state: Mapping[str, Any]) -> Approval:
    """The approval that it was given."""
    try:
        return Approval.model_validate(state["approval"])
    except ValidationError as error:
        raise InputError(f"the approval cannot be read: {why_not(error)}.", hint="Plan and approve anew.") from None


def refuse_foreign(state: Mapping[str, Any]) -> None:
    """Raise ``InputError`` for a session that another version of Murphy has kept."""
    kept = state.get("version", 1)
    if state and kept != VERSION:
        _foreign(state, f"it is of version {kept}, and this Murphy knows {VERSION}")


def _kept(model: type[Model], state: Mapping[str, Any], name: str) -> Model:
    refuse_foreign(state)
    try:
        return model.model_validate(state[name])
    except KeyError:
        _foreign(state, f"its {name} is not there")
    except ValidationError as error:
        _foreign(state, f"its {name} cannot be read: {why_not(error)}")


def _foreign(state: Mapping[str, Any], why: str) -> NoReturn:
    raise InputError(
        f"this planning session was kept by another version of Murphy: {why}.",
        where=str(state.get("plan_id", "")),
        hint="Plan anew with murphy plan; what was run is still known.",
    )
