"""What the graph carries from node to node: plain JSON values only, so that any process can take it up again."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Annotated, Any, TypedDict

from pydantic import ValidationError

from executor.errors import InputError
from executor.model.approval import Approval
from executor.model.base import why_not
from executor.model.plan import Plan
from executor.model.system import System
from executor.safety.limits import Limits
from experts.brief import Brief, Constraints

Json = dict[str, Any]


class State(TypedDict, total=False):
    """One planning session, from its goal to what was learned."""

    plan_id: str
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
    """The system that is planned for."""
    return System.model_validate(state["system"])


def brief_of(state: Mapping[str, Any]) -> Brief:
    """The brief that the experts get."""
    return Brief.model_validate(state["brief"])


def limits_of(state: Mapping[str, Any]) -> Limits:
    """The operator's limits."""
    return Limits.model_validate(state["limits"])


def plan_of(state: Mapping[str, Any]) -> Plan:
    """The plan, once there is one."""
    return Plan.model_validate(state["plan"])


def constraints_of(state: Mapping[str, Any]) -> Constraints:
    """What was asked for."""
    return Constraints.model_validate(state["constraints"])


def approval_of(state: Mapping[str, Any]) -> Approval:
    """The approval that it was given. Raises ``InputError`` for one that an earlier version of Murphy kept."""
    try:
        return Approval.model_validate(state["approval"])
    except ValidationError as error:
        raise InputError(f"the approval cannot be read: {why_not(error)}.", hint="Plan and approve anew.") from None
