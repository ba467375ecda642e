"""One fault on one target: written down, made, looked at, and undone. Blocking; runs in worker threads."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from executor.drivers.resolve import everyone, resolve
from executor.drivers.targets import EdgeTargets, ProcessTarget, Resolved
from executor.errors import UnavailableError
from executor.faults.behaviour import Behaviour, Context, Lasting, Momentary, Record, why_not
from executor.faults.registry import behaviour
from executor.kernel import process
from executor.model.evidence import ResolvedTarget, RevertCheck
from executor.run.course import WHO
from executor.safety.bodies import bodies
from executor.safety.halt import halted_since
from executor.safety.neighbours import refuse_more
from executor.safety.processes import (
    refuse_above_protected,
    refuse_ourselves,
    refuse_same_process,
    refuse_shared_members,
)
from executor.safety.radius import refuse_bodies
from executor.state import undo_notes
from executor.state.journal import Journal
from executor.undo.revert import Undone, undo, write_down

if TYPE_CHECKING:
    from executor.model.plan import Action
    from executor.run.course import Course
    from executor.state.journal import Injection

SHOWN_S = 2.0
"""How long a fault may take until its target shows it."""


def targets(course: Course, action: Action) -> tuple[Resolved, ...]:
    """What the selector means right now, under the rules for processes and neighbours that held at the preflight.

    From here on no other run is let near it, under whatever name.

    Raises ``UnavailableError`` or ``InputError`` if something is not there, ``SafetyRefusalError`` if a rule says no.
    """
    found = {action.id: resolve(action.target, course.system)}
    refuse_ourselves(found)
    every = everyone(course.system)
    refuse_same_process(found, every)
    refuse_shared_members(found, every)
    refuse_above_protected(found, every, course.limits)
    refuse_more([action], found, course.system, course.limits, course.admitted, every=every)
    struck = bodies(found[action.id])
    course.journal.occupy(course.run, struck, partial(refuse_bodies, struck))
    return found[action.id]


def arm(course: Course, experiment: str, trial: int, action: Action, target: Resolved, mark: str) -> Injection:
    """Read the target and make the revert durable. Nothing has been touched on return, nor if it raises.

    Raises ``UnavailableError`` if the target is gone, or cannot take this fault, or its revert cannot be written down.
    """
    how = behaviour(action.fault.kind)
    if why := why_not(how, action.fault, target):
        raise UnavailableError(why, where=subject(target))
    context = Context(course.system, mark, str(course.scratch))
    armed = course.journal.arm(
        course.run,
        experiment=experiment,
        trial=trial,
        action=action.id,
        kind=action.fault.kind,
        subject=subject(target),
        mark=mark,
        record=how.prepare(action.fault, target, context),
        lease_s=course.limits.lease_s,
    )
    try:
        undo_notes.keep(course.home, armed, armed.record)
    except UnavailableError:
        undo(course.journal, course.home, armed, by=WHO)  # so that nothing is owed for what was never made
        raise
    return armed


def inject(course: Course, injection: Injection) -> Record | None:
    """Make the fault and write down what was learned; returns the whole record.

    ``None``: the run is being ended, the lease had lapsed before that, or somebody has already undone it; it is undone
    again here. So a thread that was given up on, and comes to its end late, leaves nothing behind. If it raises,
    reverting is owed.
    """
    how = behaviour(injection.kind)
    course.making[injection.id] = injection
    record: Record = injection.record
    try:
        undo_notes.making(course.home, injection)
        refuse_ended(course)
        record = {**record, **how.inject(record, course.limits.lease_s)}
        undo_notes.keep(course.home, injection, record)
        # A halt may have undone it before it was quite there.
        if not course.closed.is_set() and course.journal.injected(injection.id, record):
            return record
        _undo_late(course, injection, record)
    except Exception:
        if course.undoing.done(injection) or undo_notes.noted(course.home, injection) is None:
            _undo_late(course, injection, record)  # others think it undone; else it is theirs to undo
        raise
    finally:
        undo_notes.made(course.home, injection)
        del course.making[injection.id]
    return None


def refuse_ended(course: Course) -> None:
    """Raise ``UnavailableError`` if the run is to end: the last look before a target is touched."""
    if course.closed.is_set() or halted_since(course.home, course.lowered):
        raise UnavailableError("the run is being ended, so nothing more is injected.")


def _undo_late(course: Course, injection: Injection, record: Record) -> None:
    """Undo what came too late. The run may have ended meanwhile and closed its journal, so this opens its own."""
    results = course.undoing.undo([replace(injection, record=dict(record))], again=True)
    with closing(Journal(course.home.journal)) as journal:
        if not results[0].reverted:
            journal.injected(injection.id, record)  # what was learned is needed to undo it
        write_down(journal, course.home, results, by=WHO)


def shown(how: Behaviour, record: Record) -> bool:
    """Whether the target shows the fault, within ``SHOWN_S`` seconds; one that nobody can tell counts as shown."""
    if isinstance(how, Momentary):
        return how.struck(record)
    deadline = time.monotonic() + SHOWN_S
    while how.active(record) is False:
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.02)
    return True


def ended_early(course: Course, how: Behaviour, record: Record, injection: Injection) -> str:
    """Why a fault that should still be there is not; empty if it is, or if nobody can tell.

    A supervisor that has ended a struck instance did what it is for: that is the system's own answer, and is judged.
    """
    lasts = how.lasts(record) if isinstance(how, Lasting) else not isinstance(how, Momentary)
    if not lasts or how.active(record) is not False:
        return ""
    struck = [t for t in course.targets if (t.action, t.instance) == (injection.action, injection.subject)][-1:]
    for one in struck:
        if one.pid is None or one.start_ticks is None or process.alive(one.pid, one.start_ticks):
            continue
        if course.system.service(one.place or "").restarts == "supervised":
            return ""
        return f"process {one.pid} is gone, and not by our doing"
    return "the target no longer shows it"


def subject(target: Resolved) -> str:
    """What is struck, as the journal names it: an instance, or edges."""
    if isinstance(target, EdgeTargets):
        return ", ".join(edge.place for edge in target.edges)
    return target.instance


def resolved(action: Action, target: Resolved) -> list[ResolvedTarget]:
    """What the selector meant, for the evidence."""
    if isinstance(target, EdgeTargets):
        return [ResolvedTarget(action=action.id, place=edge.place) for edge in target.edges]
    return [
        ResolvedTarget(
            action=action.id,
            instance=target.instance,
            pid=target.pid if isinstance(target, ProcessTarget) else None,
            start_ticks=target.start_ticks if isinstance(target, ProcessTarget) else None,
            place=target.service.name,
        )
    ]


def check_of(result: Undone) -> RevertCheck:
    """How a revert came out, for the evidence."""
    injection = result.injection
    before = f"; {result.gone} had gone before" if result.gone else ""
    detail = result.error or f"{injection.kind} on {injection.subject}{before}"
    return RevertCheck(action=injection.action, reverted=result.reverted, verified=result.verified, detail=detail[:400])
