"""Sessions that are kept here: how each stands, every step of one, and how they are forgotten."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from langgraph.types import StateSnapshot

from executor.errors import InputError, SafetyRefusalError
from executor.model.system import System
from executor.model.wording import many
from executor.run.engine import run_id
from executor.state.home import Home
from experts.brief import Constraints
from planner.graph import ORDER, Graph, open_graph
from planner.nodes.run import begun
from planner.shelf import Shelf, answer_key
from planner.state import Json, approval_of, constraints_of, plan_of, refuse_foreign, system_of
from planner.tools import Tools

START: Final = "start"
"""The step that is what was asked for, before any node."""


@dataclass(frozen=True)
class Step:
    """What the graph had after one node."""

    number: int
    """As in ``SESSION@STEP``; from 0, rising with time."""
    node: str
    """The node, or ``start``."""
    at: datetime
    came_of_it: str
    """In words."""


@dataclass(frozen=True)
class Past:
    """One session as it stands."""

    session: str
    stands: str
    """In words: what it waits for, or what came of it."""
    changed: datetime
    """When its last step ended."""
    system: str
    goal: str
    plan: str
    """The plan's id; empty before there is one."""
    experiments: int
    origin: str
    """``SESSION@STEP`` that it is a branch of, or empty."""
    run: str
    """The last run; empty where it was never carried out."""


def sessions(home: Home) -> tuple[Past, ...]:
    """All that are kept, the last changed first."""
    with closing(Shelf(home.sessions)) as shelf, open_graph(Tools(home, shelf)) as graph:
        found = [_past(home, graph, name, pid) for name, pid in shelf.sessions().items()]
    return tuple(sorted((past for past in found if past), key=lambda past: past.changed, reverse=True))


def steps(home: Home, session: str) -> tuple[Step, ...]:
    """Every checkpoint of a session, oldest first. Raises ``InputError`` if none is kept."""
    with closing(Shelf(home.sessions)) as shelf, open_graph(Tools(home, shelf)) as graph:
        return tuple(step_of(snapshot) for snapshot in checkpoints(graph, session))


def asked_in(home: Home, session: str) -> tuple[System, Json]:
    """The system that a session planned for, and the constraints that it began with. Raises ``InputError``."""
    with closing(Shelf(home.sessions)) as shelf, open_graph(Tools(home, shelf)) as graph:
        values = checkpoints(graph, session)[-1].values
        constraints = constraints_of(values) if values.get("constraints") else Constraints()
        return system_of(values), constraints.model_dump()


def checkpoints(graph: Graph, session: str) -> tuple[StateSnapshot, ...]:
    """The same with all that each holds. Raises ``InputError`` if none is kept."""
    found = [each for each in graph.get_state_history(at(session)) if _number(each) >= 0]  # -1 is the bare input
    if not found:
        raise unknown(session)
    return tuple(reversed(found))


def step_of(snapshot: StateSnapshot) -> Step:
    """One checkpoint in short."""
    node = node_of(snapshot)
    return Step(
        _number(snapshot), node, datetime.fromisoformat(snapshot.created_at or ""), _came_of(node, snapshot.values)
    )


def _number(snapshot: StateSnapshot) -> int:
    return int((snapshot.metadata or {}).get("step", 0))


def node_of(snapshot: StateSnapshot) -> str:
    """The node after which it was kept: the one before those that come next."""
    if not snapshot.next:
        return ORDER[-1]
    following = snapshot.next[0]
    if following not in ORDER:
        return START
    place = ORDER.index(following)
    return ORDER[place - 1] if place else START


def forget(home: Home, session: str) -> None:
    """Drop a session's checkpoints and what models answered in it; what was run stays known.

    Raises ``InputError`` if none is kept, ``SafetyRefusalError`` while a process is at it, or while a run of it that
    was cut short has not been brought to its end.
    """
    with closing(Shelf(home.sessions)) as shelf, open_graph(Tools(home, shelf)) as graph, shelf.claimed(session):
        snapshot = graph.get_state(at(session))
        if not snapshot.values:
            raise unknown(session)
        if _is_owed(home, snapshot):
            raise SafetyRefusalError(
                "forget",
                measured=f"a run of {session} was cut short and not brought to its end",
                limit="sessions that owe nothing",
                hint="murphy run goes on with it; murphy recover undoes what it left.",
            )
        experts = snapshot.values.get("experts", ())
        drop(graph, session)
        shelf.forget(session, [answer_key(q, session, *each) for q in ("propose", "critique") for each in experts])


def forget_older(home: Home, before: datetime) -> tuple[str, ...]:
    """Forget every session that has not changed since, but those that ``forget`` refuses; returns which."""
    gone = []
    for past in sessions(home):
        if past.changed < before:
            try:
                forget(home, past.session)
            except SafetyRefusalError:
                continue
            gone.append(past.session)
    return tuple(gone)


def at(session: str) -> Any:
    """Where the graph keeps a session."""
    return {"configurable": {"thread_id": session}}


def drop(graph: Graph, session: str) -> None:
    """Drop the checkpoints of a session."""
    assert graph.checkpointer and not isinstance(graph.checkpointer, bool)
    graph.checkpointer.delete_thread(session)


def unknown(session: str) -> InputError:
    """The error for a session that is not kept here."""
    return InputError(
        "no planning session of that name is kept here.", where=session, hint="murphy sessions lists them."
    )


def _past(home: Home, graph: Graph, name: str, pid: int | None) -> Past | None:
    snapshot = graph.get_state(at(name))
    values = snapshot.values
    if not values:
        return None  # it ended with a no, or was forgotten
    plan = values.get("plan") or {}
    return Past(
        session=name,
        stands=f"process {pid} is at it" if pid else _stands(home, snapshot),
        changed=datetime.fromisoformat(snapshot.created_at or ""),
        system=str(values.get("system", {}).get("name", "")),
        goal=str(values.get("goal", "")),
        plan=str(plan.get("id", "")),
        experiments=_experiments(plan),
        origin=str(values.get("origin", "")),
        run=str(values.get("run") or ""),
    )


def _stands(home: Home, snapshot: StateSnapshot) -> str:
    values = snapshot.values
    try:
        refuse_foreign(values)
        if values.get("plan"):
            plan_of(values)
        if not snapshot.next:
            return f"carried out: {values.get('run')}"
        following = snapshot.next[0]
        if following == "approve":
            return "waits for approval"
        if following == "run":
            if not _is_owed(home, snapshot):
                return "approved, not begun"
            return f"cut short in {run_id(approval_of(values), values.get('use', 1))}; murphy run brings it to its end"
    except InputError:
        return "kept by another version of Murphy"
    return f"cut short before {following}"


def _is_owed(home: Home, snapshot: StateSnapshot) -> bool:
    values = snapshot.values
    if not snapshot.next or snapshot.next[0] != "run" or not values.get("approval"):
        return False
    return begun(home, approval_of(values), values.get("use", 1))


def _experiments(plan: Mapping[str, Any]) -> int:
    return sum(len(stage.get("experiments", ())) for stage in plan.get("stages", ()))


def _came_of(node: str, values: Mapping[str, Any]) -> str:
    return _TOLD[node](values)


def _recalled(values: Mapping[str, Any]) -> str:
    kept = values.get("recalled", {})
    counted = (("beliefs", "belief"), ("past", "past result"), ("quotations", "quotation"))
    return ", ".join(many(len(kept.get(name, ())), word) for name, word in counted)


_TOLD: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    START: lambda v: v.get("goal") or "no goal in words",
    "recall": _recalled,
    "brief": lambda v: f"{many(len(v.get('experts', ())), 'expert')} to ask",
    "propose": lambda v: many(len(v.get("proposals", ())), "proposal"),
    "gather": lambda v: many(len(v.get("proposals", ())), "proposal"),
    "critique": lambda v: many(len(v.get("critiques", ())), "comment"),
    "compile": lambda v: many(len(v.get("candidates", ())), "candidate experiment"),
    "rehearse": lambda v: f"{many(len(v.get('candidates', ())), 'candidate')} may be tried",
    "select": lambda v: f"{many(_experiments(v.get('plan', {})), 'experiment')} chosen",
    "check": lambda v: f"{many(_experiments(v.get('plan', {})), 'experiment')} within every rule",
    "approve": lambda v: f"signed by {((v.get('approval') or {}).get('grant') or {}).get('approver', 'nobody')}",
    "run": lambda v: str(v.get("run") or ""),
    "learn": lambda v: many(len(v.get("findings", ())), "finding"),
    "adapt": lambda v: many(len(v.get("ideas", ())), "idea") + " for the next plan",
}
"""What came of each node, in words."""
