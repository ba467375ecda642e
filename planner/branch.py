"""A branch of a session: what it takes over from a checkpoint, and from which one, where something is changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from langgraph.types import StateSnapshot

from executor.errors import InputError
from experts.brief import Brief
from planner.graph import ORDER
from planner.history import START, Step, node_of, step_of
from planner.state import Json, brief_of, plan_of, refuse_foreign

_NODES: Final = (START, *ORDER)
_NEVER: Final = ("approval", "use", "run", "findings", "ideas")
"""An approval covers one plan under one name, and what was run was another's: neither goes over into a branch."""


@dataclass(frozen=True)
class Changes:
    """What is to be otherwise in a branch; ``None``: as it was."""

    goal: str | None = None
    constraints: Json | None = None
    limits: Json | None = None

    def latest(self, values: Json) -> str:
        """The last node whose result is still good then. The rules are asked again in any case."""
        told = (self.goal, self.constraints)
        if any(change is not None for change in told) or (self.limits is not None and values.get("experts")):
            return "critique"
        return "select"


def split(name: str) -> tuple[str, int | None]:
    """``SESSION[@STEP]``. Raises ``InputError`` for a step that is no number."""
    session, mark, step = name.partition("@")
    if mark and not step.isdecimal():
        raise InputError(f"{step!r} is not a step's number.", where=name, hint=f"murphy sessions {session} lists them.")
    return session, int(step) if mark else None


def origin_of(found: Sequence[StateSnapshot], name: str, changes: Changes) -> tuple[StateSnapshot, Step]:
    """The checkpoint that a branch goes on from: the one asked for, or the last before it that the changes leave good.

    Raises ``InputError`` if there is none, or if another version of Murphy has kept it.
    """
    session, step = split(name)
    refuse_foreign(found[-1].values)
    numbers = [step_of(snapshot).number for snapshot in found]
    if step is not None and step not in numbers:
        raise InputError(f"there is no step {step}.", where=name, hint=f"murphy sessions {session} lists them.")
    latest = _NODES.index(changes.latest(found[-1].values))
    for snapshot, number in zip(reversed(found), reversed(numbers), strict=True):
        if (step is None or number <= step) and _NODES.index(node_of(snapshot)) <= latest:
            return snapshot, step_of(snapshot)
    if origin := found[0].values.get("origin"):
        raise InputError(
            f"it begins after what would have to be done anew: it went on from {origin}.",
            where=name,
            hint=f"Say --from {split(origin)[0]}.",
        )
    raise InputError(
        "no experts made this plan, so nothing of what was asked can be changed.",
        where=name,
        hint="Edit the plan's file, and approve that.",
    )


def branched(values: Json, node: str, changes: Changes, *, name: str, proposer: str, origin: str) -> Json:
    """The state of a branch called ``name``, as after ``node``: the earlier one's, with the changes."""
    kept = {key: value for key, value in values.items() if key not in _NEVER}
    kept |= {"plan_id": name, "origin": origin, "proposer": proposer}
    kept |= {key: value for key, value in vars(changes).items() if value is not None}
    if "brief" in kept:
        told = {**brief_of(kept).model_dump(), "goal": kept["goal"], "constraints": kept["constraints"]}
        kept["brief"] = Brief.model_validate(told).model_dump(mode="json")
    if node == "select":
        kept["plan"] = {**plan_of(kept).model_dump(mode="json"), "id": name, "proposer": proposer}
    else:
        kept.pop("plan", None)
    return kept


def asks(node: str) -> bool:
    """Whether experts are still to be asked after that node."""
    return _NODES.index(node) < _NODES.index("critique")
