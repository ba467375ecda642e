"""Carry out an approved plan: ``run(plan, approval) -> Evidence``. Deterministic; no model is ever asked.

The order is the safety argument: preflight, watchdog, admission (which consumes the approval), then the stages; and
whatever happens in them, everything is undone before ``run`` returns or raises.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress

import anyio
import anyio.to_thread
from pydantic import ValidationError

from executor.clock import SYSTEM_CLOCK, Clock, own_ticks
from executor.errors import InputError, UnavailableError
from executor.model.approval import Approval
from executor.model.base import why_not
from executor.model.evidence import EventKind, Evidence
from executor.model.plan import Experiment, Plan
from executor.model.system import System
from executor.run import admission
from executor.run.budgeting import mind_budget, mind_cost, mind_window
from executor.run.conclude import conclude, judged, sweep
from executor.run.course import Course, Outcome, Report
from executor.run.minders import Minders
from executor.run.observations import ObservationLog
from executor.run.orders import Orders
from executor.run.record import Meter, write_atomically
from executor.run.refusals import noted
from executor.run.rejudge import FILE, Trials
from executor.run.trial import Trial
from executor.safety.halt import Lowered, lowered
from executor.safety.limits import Limits
from executor.state.home import Home
from executor.state.journal import Journal
from executor.state.reading import read
from executor.undo.guardian import Guardian
from executor.undo.recover import recover_lapsed
from executor.undo.standing import owed_first


def run_id(approval: Approval, use: int = 1) -> str:
    """The name of the run that a use of an approval, the first, second…, is good for."""
    name = f"run-{approval.grant.nonce[:12]}"
    return name if use == 1 else f"{name}-{use}"


def load_evidence(home: Home, run: str) -> Evidence | None:
    """The evidence of a run; ``None`` if it has left none. Raises ``InputError`` if its file was damaged."""
    try:
        return Evidence.model_validate_json(read(home.run_dir(run, make=False) / "evidence.json"))
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise InputError(f"the evidence cannot be read: {why_not(error)}.", where=run) from error


def run(
    plan: Plan,
    approval: Approval,
    *,
    system: System,
    limits: Limits,
    home: Home,
    use: int = 1,
    report: Report = lambda _event: None,
    stop: threading.Event | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> Evidence:
    """Carry out a plan and return what that showed. Blocks; ``report`` gets every event live, from this thread.

    ``use`` says which of the approval's uses this is, so that no run is ever begun twice. ``stop`` ends it early
    (outcome ``interrupted``), as do the halt flag, the guard, and limits. Raises ``SafetyRefusalError``,
    ``UnavailableError`` or ``InputError`` if it may not or cannot begin, and ``StoppedError`` if it was stopped before
    it did: nothing was injected and the approval is as it was. Reverts that failed are in ``Evidence.owed``, and the
    watchdog goes on trying. Any other error leaves nothing behind either, and evidence in the run's directory.
    """
    name = run_id(approval, use)
    journal = Journal(home.journal)
    guardian = Guardian(home, name)
    before = lowered(home)
    admitted = False
    try:
        recover_lapsed(journal, home)
        with noted(journal, approval):
            ready = admission.ask(
                plan, approval, system, limits, home, journal, guardian, stop, clock=clock, before=before, use=use
            )
            admitted = True  # it may be, from here on, though an interrupt keeps us from hearing so
            try:
                admission.admit(journal, name, plan, approval, ready, use=use, system=system, limits=limits)
                reached = frozenset(ready.reach.targets)
            except Exception:
                admitted = False
                raise
        with owed_first(home, [name]):
            return _run_admitted(
                name, plan, approval, system, limits, home, journal, guardian, report, stop, clock, before, reached
            )
    finally:
        if admitted:
            _end(journal, name)
        if admitted and _owed(journal, name):
            with suppress(UnavailableError):
                guardian.ensure()  # it goes on trying when we are gone, and one that was killed would not
            guardian.abandon()
        else:
            guardian.leave()
        journal.close()


def _end(journal: Journal, name: str) -> None:
    """A run that was interrupted before it could write down that it is over is over now."""
    with suppress(UnavailableError):
        if journal.state_of(name, os.getpid(), own_ticks()) == "running":
            journal.finish(name, "interrupted")


def _owed(journal: Journal, name: str) -> bool:
    try:
        return bool(journal.pending(name))
    except UnavailableError:
        return True


def _run_admitted(
    name: str,
    plan: Plan,
    approval: Approval,
    system: System,
    limits: Limits,
    home: Home,
    journal: Journal,
    guardian: Guardian,
    report: Report,
    stop: threading.Event | None,
    clock: Clock,
    before: Lowered,
    reached: frozenset[str],
) -> Evidence:
    """From admission on: the run is finished in the journal, and its faults are undone, whatever happens."""
    outcome: Outcome = "aborted"
    reason = ""
    try:
        directory = home.run_dir(name)
        for file, value in (("plan", plan), ("approval", approval), ("system", system), ("limits", limits)):
            write_atomically(directory / f"{file}.json", value)
        meter = Meter()
        log = ObservationLog(directory)
        course = Course(
            name,
            plan,
            approval,
            system,
            limits,
            home,
            journal,
            guardian,
            clock,
            report,
            log,
            home.scratch(name),
            before,
            reached,
        )
        orders = Orders(course, stop)
        try:
            orders.start()
            course.emit(EventKind.RUN_STARTED, detail=f"plan {plan.id} on {system.name}")
            anyio.run(_carry_out, course)
        except BaseException as error:
            ending: Outcome = "aborted" if isinstance(error, Exception) else "interrupted"
            course.end(ending, f"the run failed: {type(error).__name__}: {error}")
            raise
        finally:
            course.closed.set()
            owed = sweep(course)
            orders.leave()
            outcome, reason = (course.ending.outcome, course.ending.reason) if course.ending else ("completed", "")
            evidence = conclude(course, owed, meter)
            write_atomically(
                directory / FILE, Trials(by_experiment={k: tuple(r.bounds) for k, r in course.ran.items()})
            )
            write_atomically(directory / "evidence.json", evidence)
        if not owed and not _owed(journal, name):
            home.clear_scratch(name)
        return evidence
    finally:
        journal.finish(name, outcome, reason=reason)


async def _carry_out(course: Course) -> None:
    """All stages, with the minders beside them."""
    minders = Minders(course)
    async with anyio.create_task_group() as tasks:
        course.work = anyio.CancelScope()
        for mind in (minders.mind_orders, minders.mind_host, minders.mind_watchdog, minders.mind_leases):
            tasks.start_soon(mind)
        for mind_bound in (mind_budget, mind_cost, mind_window):
            tasks.start_soon(mind_bound, course)
        with course.work:
            for number, stage in enumerate(course.plan.stages, start=1):
                course.emit(EventKind.STAGE_STARTED, detail=f"stage {number} of {len(course.plan.stages)}")
                async with anyio.create_task_group() as experiments:
                    for experiment in stage.experiments:
                        experiments.start_soon(_experiment, course, experiment, minders)
        tasks.cancel_scope.cancel()


async def _experiment(course: Course, experiment: Experiment, minders: Minders) -> None:
    """All trials of one experiment, and its judgement."""
    ran = course.reached(experiment)
    for number in range(1, experiment.trials + 1):
        trial = Trial(course, experiment, number, minders.ensure)
        try:
            await trial.run()
        finally:
            ran.trials.append(trial.samples())
            ran.bounds.append(ran.trials[-1].trial)
            ran.reverts += trial.reverts
        if trial.aborted:
            break
    ran.judgement = await anyio.to_thread.run_sync(judged, course, experiment, "")
    ran.trials.clear()
    for event in ran.judgement.events:
        course.tell(event)
    verdicts = "; ".join(f"{h.hypothesis} {h.verdict.value}" for h in ran.judgement.hypotheses)
    course.emit(EventKind.EXPERIMENT_FINISHED, experiment=experiment.id, detail=verdicts)
