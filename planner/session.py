"""A planning session: from a goal to a plan that waits for approval, and from the approval to what was learned."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, Final

from langgraph.types import Command

from executor.errors import InputError, SafetyRefusalError
from executor.model.approval import Approval
from executor.model.digest import digest
from executor.model.evidence import Event, Evidence, Finding
from executor.model.plan import Plan
from executor.model.system import System
from executor.run.engine import load_evidence, run_id
from executor.safety.limits import Limits, load_limits
from executor.safety.rules import refusals
from executor.state.home import Home
from executor.state.journal import Journal
from executor.undo.standing import owed_first
from experts.brief import Constraints
from experts.expert import Expert
from experts.models.saying import Listen
from experts.roster import recorded
from experts.track_record import Record, track_record
from knowledge.ledger import Ledger
from planner.again import once_more
from planner.branch import Changes, asks, branched, origin_of, split
from planner.graph import Graph, open_graph
from planner.history import START, at, checkpoints, drop, node_of
from planner.nodes.run import begun
from planner.recorded import Kept, Replayed, aloud, seat
from planner.recorded import asked as asked_of
from planner.shelf import Shelf
from planner.state import VERSION, Json, approval_of, limits_of, plan_of, system_of
from planner.tools import Progress, Tools

DURABLE: Final = "sync"
"""A step's result is on disk before the next begins."""
_ASKED: Final = ("system", "goal", "constraints", "limits", "proposer", "experts")
"""What a session begins with."""


@dataclass(frozen=True)
class Outcome:
    """What carrying out a plan has given."""

    evidence: Evidence
    findings: tuple[Finding, ...]
    next_ideas: tuple[str, ...]
    track_record: tuple[Record, ...]
    """Of every expert, over all runs."""


class Session:
    """One session whose plan waits for approval, or was carried out. Kept in the home; any process can take it up."""

    def __init__(self, home: Home, name: str, values: Mapping[str, Any]) -> None:
        self.home = home
        self.name = name
        self.plan: Plan = plan_of(values)
        self.system: System = system_of(values)
        self.limits: Limits = limits_of(values)
        self.notes: tuple[str, ...] = tuple(values.get("notes", ()))
        self.front: tuple[Json, ...] = tuple(values.get("front", ()))
        """The Pareto front and what is recommended, as ``planner.state.State`` has it; empty: no experts planned."""

    @classmethod
    def begin(
        cls,
        home: Home,
        system: System,
        *,
        goal: str = "",
        constraints: Constraints | None = None,
        limits: Limits,
        experts: Sequence[Expert],
        proposer: str,
        on_progress: Progress = lambda _stage, _text: None,
        on_said: Listen | None = None,
    ) -> Session:
        """Plan. A session that a crash cut short goes on where it was, if the same is asked for again.

        ``on_said`` gets what models say as it comes; without it, it is progress too (stage ``says``).

        Raises ``InputError`` if there is nothing to plan, ``SafetyRefusalError`` if the rules let nothing pass.
        """
        asked: dict[str, Any] = {
            "version": VERSION,
            "system": system.model_dump(mode="json"),
            "goal": goal,
            "constraints": (constraints or Constraints()).model_dump(mode="json"),
            "limits": limits.model_dump(mode="json"),
            "proposer": proposer,
            "experts": [[expert.name, expert.model] for expert in experts],
        }
        base = f"plan-{digest(asked)[7:19]}"
        with closing(Shelf(home.sessions)) as shelf:
            tools = Tools(home, shelf, tuple(experts), progress=on_progress)
            with open_graph(tools) as graph, _unfinished(shelf, graph, base) as found:
                name, fresh = found
                given = {**asked, "plan_id": name} if fresh else None
                seat(experts, Kept(shelf, name), on_said or aloud(on_progress))
                return cls(home, name, _plan(graph, name, given))

    @classmethod
    def replay(
        cls,
        home: Home,
        earlier: Session,
        *,
        on_progress: Progress = lambda _stage, _text: None,
        on_said: Listen | None = None,
    ) -> Session:
        """The strategy of an earlier session once more, from what was known then and what models answered then.

        Nobody is asked. The plan is the same but for its id, if Murphy is. Raises ``InputError`` for a plan that no
        experts made, and what ``begin`` raises.
        """
        with closing(Shelf(home.sessions)) as shelf:
            with open_graph(Tools(home, shelf)) as graph:
                values = graph.get_state(at(earlier.name)).values
                if not values.get("brief") or not values.get("experts"):
                    raise InputError("no experts made this plan, so there is nothing to replay.", where=earlier.name)
                if node_of(checkpoints(graph, earlier.name)[0]) not in (START, "recall", "brief"):
                    raise InputError(
                        f"its experts were asked in {values.get('origin')}.",
                        where=earlier.name,
                        hint="Replay that one, or go on from it with murphy plan --from.",
                    )
            experts = recorded(values["experts"], asked_of(shelf, earlier.name))
            with open_graph(Tools(home, shelf, experts, progress=on_progress)) as graph:
                name = shelf.new(f"{earlier.name}-replay")
                kept = {key: values[key] for key in (*_ASKED, "recalled", "weights", "brief")}
                kept["follow_ups"] = values.get("follow_ups", [])
                with shelf.claimed(name):
                    seat(experts, Replayed(shelf, name, earlier.name), on_said or aloud(on_progress))
                    graph.update_state(at(name), {**kept, "version": VERSION, "plan_id": name}, as_node="brief")
                    return cls(home, name, _plan(graph, name, None))

    @classmethod
    def fork(
        cls,
        home: Home,
        earlier: str,
        *,
        goal: str | None = None,
        constraints: Constraints | None = None,
        limits: Limits,
        experts: Sequence[Expert],
        proposer: str,
        on_progress: Progress = lambda _stage, _text: None,
        on_said: Listen | None = None,
    ) -> Session:
        """A new session that goes on from a step of an earlier one, ``SESSION[@STEP]``, perhaps with other wishes.

        The earlier one stays as it is. Steps that a change leaves good are taken over, those after them are done anew;
        its approval and its runs never are, so the branch waits for an approval of its own. Without ``STEP``: from the
        last that is still good. ``None``: as it was. Raises ``InputError`` for a step that is not there, and what
        ``begin`` raises.
        """
        with closing(Shelf(home.sessions)) as shelf:
            with open_graph(Tools(home, shelf)) as graph:
                found = checkpoints(graph, split(earlier)[0])
            changed = Changes(
                goal=goal,
                constraints=constraints.model_dump(mode="json") if constraints else None,
                limits=None if limits == limits_of(found[0].values) else limits.model_dump(mode="json"),
            )
            snapshot, step = origin_of(found, earlier, changed)
            origin = f"{split(earlier)[0]}@{step.number}"
            council = tuple(experts) if asks(step.node) else ()
            named = [[expert.name, expert.model] for expert in council]
            base = f"fork-{digest({'from': origin, **vars(changed), 'experts': named, 'proposer': proposer})[7:19]}"
            tools = Tools(home, shelf, council, progress=on_progress)
            with open_graph(tools) as graph, _unfinished(shelf, graph, base) as (name, fresh):
                seat(council, Kept(shelf, name), on_said or aloud(on_progress))
                given = None
                if fresh:
                    given = branched(
                        snapshot.values, step.node, changed, name=name, proposer=proposer, origin=origin
                    ) | ({"experts": named} if council else {})
                    if step.node != START:
                        graph.update_state(at(name), given, as_node=step.node)
                        given = None
                return cls(home, name, _plan(graph, name, given))

    @classmethod
    def find(cls, home: Home, plan: Plan | str) -> Session | None:
        """The session of a plan (exactly this plan, if one is given and not its id); ``None`` if there is none."""
        with closing(Shelf(home.sessions)) as shelf, open_graph(Tools(home, shelf)) as graph:
            names = [plan] if isinstance(plan, str) else [plan.id, shelf.newest(_adopted(plan))]
            for name in names:
                values = graph.get_state(at(name)).values if name else {}
                if values.get("plan") and (isinstance(plan, str) or plan_of(values) == plan):
                    return cls(home, str(name), values)
        return None

    @classmethod
    def adopt(cls, home: Home, plan: Plan, system: System, *, limits: Limits | None = None) -> Session:
        """The session of a plan written or changed by hand: one of its own, or the one that this very plan has.

        So two who carry it out at one instant do so in one session. Raises ``SafetyRefusalError`` if a rule refuses it,
        or while another process begins with it.
        """
        allowed = limits or load_limits()
        with closing(Shelf(home.sessions)) as shelf, open_graph(Tools(home, shelf)) as graph:
            given = {"system": system, "limits": allowed, "plan": plan}
            values: dict[str, Any] = {key: value.model_dump(mode="json") for key, value in given.items()}
            last = shelf.newest(_adopted(plan))
            found: dict[str, Any] = {}
            if last:
                with shelf.claimed(last):  # else whoever enters it may be done between our look and our entering
                    found = graph.get_state(at(last)).values
            if last and all(found.get(key) == value for key, value in values.items() if key != "limits"):
                for refused in refusals(plan, system, allowed):
                    raise refused
                return cls(home, last, {**found, "limits": values["limits"]})
            with shelf.entered(_adopted(plan), last) as name:
                values |= {"version": VERSION, "plan_id": name, "goal": plan.goal, "proposer": plan.proposer}
                graph.update_state(at(name), values, as_node="select")
                try:
                    graph.invoke(None, at(name), durability=DURABLE)
                    kept = cls(home, name, graph.get_state(at(name)).values)
                    if kept.plan != plan:
                        _refuse_cut(kept, plan)
                except (InputError, SafetyRefusalError):
                    drop(graph, name)
                    raise
        return kept

    @classmethod
    def repeat(cls, home: Home, system: System, *, again: str, limits: Limits, proposer: str) -> Session:
        """A session with one experiment of an earlier run, ``RUN/EXPERIMENT``, to see it again."""
        return cls.adopt(home, once_more(home, system, again, proposer), system, limits=limits)

    def carry_out(
        self,
        approval: Approval,
        *,
        limits: Limits | None = None,
        report: Callable[[Event], None] = lambda _event: None,
        stop: threading.Event | None = None,
        on_progress: Progress = lambda _stage, _text: None,
    ) -> Outcome:
        """Run the plan under the approval and learn from it; blocks. After a crash, called again, it goes on.

        ``limits`` are those that the approval was given under. Raises ``SafetyRefusalError`` for an approval that does
        not cover the plan, has been used, or while another process is at it, and what ``engine.run`` raises; nothing
        was done then.
        """
        given: dict[str, Any] = {
            "approval": approval.model_dump(mode="json"),
            "limits": (limits or self.limits).model_dump(mode="json"),
        }
        runs = [run_id(approval, use + 1) for use in range(approval.grant.uses)]
        # A session that cannot be kept, wherever that shows first, must not hide that something is owed.
        with owed_first(self.home, runs), closing(Shelf(self.home.sessions)) as shelf, shelf.claimed(self.name):
            tools = Tools(self.home, shelf, progress=on_progress, report=report, stop=stop)
            with open_graph(tools) as graph:
                resume = _take(graph, self, approval, given)
                graph.invoke(resume, at(self.name), durability=DURABLE)
                return _outcome(self.home, graph.get_state(at(self.name)).values)


def _plan(graph: Graph, name: str, given: dict[str, Any] | None) -> Mapping[str, Any]:
    """Plan in a session, from ``given`` or from where it is, until it waits for an approval; returns all that it holds.

    Planning never runs anything, whatever a crash has left in the session.
    """
    try:
        graph.invoke(given, at(name), durability=DURABLE, interrupt_before=["run"])
    except (InputError, SafetyRefusalError):
        drop(graph, name)  # it ended, with a no: asking again is a new session
        raise
    return graph.get_state(at(name)).values


def _adopted(plan: Plan) -> str:
    return f"adopted-{digest(plan)[7:19]}"


@contextmanager
def _unfinished(shelf: Shelf, graph: Graph, base: str) -> Iterator[tuple[str, bool]]:
    """A session to plan in, claimed, and whether it is new: one of equal input that a crash cut short, or a new one."""
    last = shelf.newest(base)
    if last is not None and _is_planning(graph, last):
        try:
            with shelf.claimed(last):
                yield last, False
                return
        except SafetyRefusalError as busy:
            if busy.rule != "one at a time":
                raise
    name = shelf.new(base)
    with shelf.claimed(name):
        yield name, True


def _is_planning(graph: Graph, name: str) -> bool:
    """Whether the session was cut short before it came to wait for an approval."""
    state = graph.get_state(at(name))
    waits = any(task.interrupts for task in state.tasks)
    return bool(state.next) and not waits and not state.values.get("approval")


def _refuse_cut(kept: Session, plan: Plan) -> None:
    dropped = sorted({e.id for e in plan.experiments} - {e.id for e in kept.plan.experiments})
    raise SafetyRefusalError(
        "check", measured=f"{', '.join(dropped)} would be left out", limit="every rule", hint="; ".join(kept.notes)
    )


def _take(graph: Graph, session: Session, approval: Approval, given: dict[str, Any]) -> Command[Any] | None:
    """Bring the graph to where it takes this approval, or goes on with it; returns what to resume it with."""
    state = graph.get_state(at(session.name))
    held = state.values.get("approval")
    used = _used(session.home, approval)
    given["use"] = len(used) + 1
    if state.next == ("approve",):
        return Command(resume=given)
    if state.next == ("run",) and not begun(session.home, approval_of(state.values), state.values.get("use", 1)):
        # refused, or killed, before it began: what was given then counts no more, the limits of that time least of all
        if any(state.values.get(name) != value for name, value in given.items()):
            graph.update_state(at(session.name), given, as_node="approve")
        return None
    if held == given["approval"]:
        if state.next:
            return None  # a crash cut this very run short
        if len(used) >= approval.grant.uses:
            raise SafetyRefusalError(
                "single use" if approval.grant.uses == 1 else "uses",
                measured=f"the approval was used by {', '.join(used)}",
                limit="one run" if approval.grant.uses == 1 else f"{approval.grant.uses} runs",
                hint="Approve the plan again.",
            )
    if state.next:  # an earlier run under another approval, cut short: bring it to its end first
        graph.invoke(None, at(session.name), durability=DURABLE)
    if not used:
        _refuse_overtaken(session, approval, graph.get_state(at(session.name)).values)
    graph.update_state(at(session.name), {"approval": None, "run": None}, as_node="check")
    graph.invoke(None, at(session.name), durability=DURABLE)
    return Command(resume=given)


def _refuse_overtaken(session: Session, approval: Approval, values: Mapping[str, Any]) -> None:
    """Of two approvals that were given for one run, the second is for none: who signed it did not know of the first."""
    last = load_evidence(session.home, values.get("run") or "") if values.get("run") else None
    if last is not None and approval.grant.valid_from < last.started:
        raise SafetyRefusalError(
            "one run",
            measured=f"the plan was carried out under another approval, as {last.run}, after this one was given",
            limit="approvals given since the last run",
            hint="Look at what it showed, and approve the plan again if it is to run once more.",
        )


def _used(home: Home, approval: Approval) -> tuple[str, ...]:
    with closing(Journal(home.journal)) as journal:
        return journal.used(approval.grant.nonce)


def _outcome(home: Home, values: Mapping[str, Any]) -> Outcome:
    evidence = load_evidence(home, values["run"])
    if evidence is None:
        raise InputError("the evidence is no longer there.", where=values["run"])
    with Ledger.open(home) as ledger:
        record = track_record(ledger.predictions())
    return Outcome(
        evidence=evidence,
        findings=tuple(Finding.model_validate(finding) for finding in values["findings"]),
        next_ideas=tuple(values["ideas"]),
        track_record=tuple(record),
    )
