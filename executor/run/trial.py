"""One trial of one experiment: baseline, fault, recovery; whatever happens in it, its faults are undone at its end."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.lowlevel
import anyio.to_thread

from executor.drivers.targets import Resolved
from executor.errors import FaultGoneError, InputError, MurphyError, UnavailableError, words_of
from executor.faults.behaviour import Finite, Keeping, Renewable, Telling
from executor.faults.registry import behaviour
from executor.measure.certain import can_be, certain
from executor.measure.columns import Recording
from executor.measure.counters import edges_of
from executor.measure.records import TrialRecord
from executor.measure.sampler import Sampler
from executor.measure.samples import Samples
from executor.measure.settled import settled
from executor.model.evidence import EventKind, Observation, RevertCheck
from executor.model.plan import Action, Experiment
from executor.model.vocabulary import Phase
from executor.probes.hosts import allowed_hosts
from executor.run import searches, strike
from executor.run.course import WHO, Course, Held
from executor.run.orders import halting
from executor.run.pace import least_recovery_s, steps
from executor.safety.guard import HZ, Guard, unwell
from executor.state.journal import Injection
from executor.undo.revert import Undone

T = TypeVar("T")
INJECT_S = 20.0
"""A fault that takes longer to make is given up, and undone."""
_EACH_S = 20.0
_TICK_S = 0.05
_DONE_S = 0.5
CERTAIN = "the fault ends before its time, as whatever comes it breaks"
"""What the time line says of it."""
_log = logging.getLogger(__name__)


class Trial:
    """One trial. ``run`` it once, then read ``record`` and ``reverts``, also after it raised or was cancelled."""

    def __init__(self, course: Course, experiment: Experiment, number: int, ensure: Callable[[], None]) -> None:
        """``ensure`` sees that the watchdog is well, blocking, and raises ``UnavailableError`` if it cannot be had."""
        self.course, self.experiment, self.number = course, experiment, number
        self.aborted = ""
        self.reverts: list[RevertCheck] = []
        self._ensure = ensure
        self._whole = False
        self._scope = anyio.CancelScope()
        self._recording = Recording()
        self._injections: list[Injection] = []
        self._undone: set[int] = set()
        self._ended: dict[int, bool | None] = {}
        self._made: dict[str, float] = {}
        self._struck: dict[str, None] = {}
        self._begun_s = course.now_s()
        self._inject_started_s: float | None = None
        self._injected_s: float | None = None
        self._revert_started_s: float | None = None
        self._reverted_s: float | None = None
        self._end_s: float | None = None
        self._sampler = Sampler(
            experiment.checks,
            experiment.signals,
            edges_of(experiment, course.system),
            course.zero,
            experiment.id,
            self._observe,
            trial=number,
            hosts=allowed_hosts(course.system),
            data_checks=experiment.data_checks,
            mark=f"{course.run} {experiment.id} {number}",
            may_write=self._may_write,
        )

        self._watching = Guard(experiment, course.limits.guard, self._sampler)

    def record(self) -> TrialRecord:
        """When its phases began and ended, as far as it went."""
        ending = self.course.ending
        return TrialRecord(
            trial=self.number,
            baseline_start_s=self._begun_s,
            injected_s=self._injected_s,
            reverted_s=self._reverted_s,
            end_s=self.course.now_s() if self._end_s is None else self._end_s,
            aborted=self.aborted or (ending.reason if ending and not self._whole else ""),
            inject_started_s=self._inject_started_s,
            revert_started_s=self._revert_started_s,
            lost=any(injection.id in self.course.lost for injection in self._injections),
            struck=tuple(self._struck),
        )

    def samples(self) -> Samples:
        """What there is to judge."""
        try:
            found = searches.load(self._directory, self.experiment, self.number)
        except InputError as error:
            _log.warning("%s", error)
            found = {}
        return Samples(self.record(), self._recording, found)

    @property
    def _directory(self) -> Path:
        return self.course.home.run_dir(self.course.run)

    async def run(self) -> None:
        """Go through the phases. Cut short by ``aborted`` or by the run's end; every fault is undone on return."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._sample)
            tasks.start_soon(self._guard)
            try:
                with self._scope:
                    await self._phases()
                    self._whole = True
            finally:
                await self._undo(self._injections)
                self._end_s = self.course.now_s()
                tasks.cancel_scope.cancel() if self._cut_short() else self._sampler.stop()

    async def _phases(self) -> None:
        self._begun_s = self._phase(Phase.BASELINE)
        await anyio.sleep(self.experiment.baseline_s)
        await self._sampler.read_before()
        if why := unwell(self.experiment, self._sampler, self.course.now_s() - self._begun_s):
            self._abort(why)
            await anyio.lowlevel.checkpoint()  # ends here
        self._phase(Phase.FAULT)
        zero = anyio.current_time()
        async with anyio.create_task_group() as actions:
            for action in self.experiment.actions:
                actions.start_soon(self._act, action, zero)
        since_s = self._phase(Phase.RECOVERY)
        await self._recovery(since_s if self._reverted_s is None else self._reverted_s)

    async def _act(self, action: Action, zero: float) -> None:
        await anyio.sleep_until(zero + action.start_s)
        for number, weaker in enumerate(steps(action), start=1):
            await self._hold(weaker, number)
        await self._hold(action)

    async def _hold(self, action: Action, step: int | None = None) -> None:
        """Make the fault, hold it for its time, and undo it. A ``step`` of a ramp is not what is measured."""
        try:
            targets = await anyio.to_thread.run_sync(strike.targets, self.course, action)
            async with anyio.create_task_group() as strikes:
                for target in targets:
                    strikes.start_soon(self._strike, action, target, step)
        except (MurphyError, OSError) as error:
            self._abort(words_of(error))
        begun = anyio.current_time() if step else self._made.get(action.id, anyio.current_time())
        await self._wait(begun + action.duration_s, action if step is None else None)
        if step:
            self._look()  # the guard must agree at this very moment
            await anyio.lowlevel.checkpoint()
        mine = [i for i in self._injections if i.action == action.id and i.id not in self._undone]
        for injection in mine:
            await self._last_look(injection)
        await self._undo(mine, step=step is not None)

    async def _wait(self, until: float, full: Action | None) -> None:
        """Until an action's time is over, or all is done that its experiment is for.

        ``full``: the action, unless it is only a step on the way to its full strength.
        """
        finite = any(isinstance(behaviour(action.fault.kind), Finite) for action in self.experiment.actions)
        watched = full if self.experiment.ends_when_certain and can_be(self.experiment) else None
        while (left := until - anyio.current_time()) > 0:
            await anyio.sleep(min(left, _DONE_S) if finite or watched else left)
            if finite and await self._done():
                return
            if watched and self._injected_s is not None and (why := self._certain()):
                self._emit(EventKind.MEASURED, watched, f"{CERTAIN}: {why}")
                return

    def _certain(self) -> str:
        """Why no answer to come can change the verdicts, in words; empty: one may."""
        return certain(self.experiment, Samples(self.record(), self._recording), self._sampler.under_way)

    async def _done(self) -> bool:
        """Whether whatever comes to an end by itself has; one that has and is undone by now still counts."""
        for injection in self._injections:
            held = self.course.held.get(injection.id)
            if held is not None and held.record is not None and isinstance(held.how, Finite):
                self._ended[injection.id] = await anyio.to_thread.run_sync(held.how.done, held.record)
        said = self._ended.values()
        return True in said and False not in said

    async def _last_look(self, injection: Injection) -> None:
        """A fault may have gone with what carried it, or with its target, before its time: then nothing is judged."""
        held = self.course.held.get(injection.id)
        if held is None or held.record is None:
            return
        try:
            if isinstance(held.how, Telling) and (said := await anyio.to_thread.run_sync(held.how.tells, held.record)):
                self.course.emit(
                    EventKind.MEASURED,
                    experiment=self.experiment.id,
                    trial=self.number,
                    action=injection.action,
                    detail=said,
                )
            if isinstance(held.how, Renewable):
                await anyio.to_thread.run_sync(held.how.renew, held.record, self.course.limits.lease_s)
            early = await anyio.to_thread.run_sync(strike.ended_early, self.course, held.how, held.record, injection)
        except FaultGoneError as gone:
            early = gone.message.rstrip(".")
        except (MurphyError, OSError):
            return  # undoing it says what is wrong
        if early:
            self.course.lose(injection, f"{injection} ended before its time: {early}")

    async def _strike(self, action: Action, target: Resolved, step: int | None) -> None:
        """Make one fault. What goes wrong with it ends the trial; what makes any fault unsafe ends the run."""
        course = self.course
        try:
            await self._watched()
            armed = await _bounded(
                partial(strike.arm, course, self.experiment.id, self.number, action, target, course.next_mark())
            )
            how = behaviour(action.fault.kind)
            self._injections.append(armed)
            course.held[armed.id] = Held(armed, how, None)
            course.targets.update(dict.fromkeys(strike.resolved(action, target)))
            self._emit(EventKind.ARMED, action, str(armed))
            await anyio.lowlevel.checkpoint()  # the last moment at which an end leaves the target untouched
            if self._inject_started_s is None:
                self._inject_started_s = course.now_s()
            record = await _bounded(partial(strike.inject, course, armed))
            if record is None:
                course.end("aborted", f"the lease of {armed} lapsed while it was made")
                return
            self._struck.update(dict.fromkeys(r.instance for r in strike.resolved(action, target) if r.instance))
            if step is None:
                self._made.setdefault(action.id, anyio.current_time())
                self._injected_s = course.now_s() if self._injected_s is None else self._injected_s
            course.held[armed.id] = Held(armed, how, record)
            if not await anyio.to_thread.run_sync(strike.shown, how, record):
                course.lost.add(armed.id)  # what was seen meanwhile says nothing of how its target bears it
                self._abort(f"the target does not show the fault: {armed}")
                return
            kind, at = (EventKind.STEPPED, f", step {step}") if step else (EventKind.INJECTED, "")
            self._emit(kind, action, f"{action.fault.kind} on {armed.subject}{at}")
        except Exception as error:  # noqa: BLE001 - a behaviour may fail in any way; the trial ends and undoes it
            if order := course.order or halting(course):  # else a run that is over at once would seem complete
                course.end(order.outcome, order.reason)
            self._abort(f"{action.fault.kind} on {strike.subject(target)} could not be made: {words_of(error)}")

    async def _watched(self) -> None:
        try:
            await anyio.to_thread.run_sync(self._ensure)
        except UnavailableError as error:
            self.course.end("aborted", str(error))
            await anyio.lowlevel.checkpoint()
            raise

    async def _undo(self, injections: list[Injection], *, step: bool = False) -> None:
        """Undo these, shielded, and say what became of each. Nothing here raises; what fails is owed.

        Undoing a ``step`` of a ramp ends nothing: the next is stronger.
        """
        todo = [injection for injection in injections if injection.id not in self._undone]
        if not todo:
            return
        self._undone.update(injection.id for injection in todo)
        for injection in todo:
            self.course.held.pop(injection.id, None)
        if self._revert_started_s is None and not step:
            self._revert_started_s = self.course.now_s()
        results: list[Undone] = []
        work = partial(self.course.undoing.undo, todo, each_s=_EACH_S)
        try:
            with anyio.fail_after(_EACH_S * len(todo) + 10, shield=True):
                results = await anyio.to_thread.run_sync(work, abandon_on_cancel=True)
        except TimeoutError:
            results = [Undone(i, verified=False, error=f"{i}: reverting takes too long") for i in todo]
        if not step:  # a held journal may have kept us from hearing of it at once
            self._reverted_s = max(self._revert_started_s or 0.0, self.course.now_s() - min(r.ago_s for r in results))
        for result in results:
            self._tell(result)

    def _tell(self, result: Undone) -> None:
        injection = result.injection
        self._keep(injection)
        self.reverts.append(check := strike.check_of(result))
        action = next(a for a in self.experiment.actions if a.id == injection.action)
        what = EventKind.REVERTED if result.reverted else EventKind.REVERT_OWED
        self._emit(what, action, check.detail, result.ago_s)
        if not result.reverted:
            self.course.end("aborted", f"a revert is owed: {check.detail}")
            return
        self.course.told.add(injection.id)
        if injection.by not in ("", WHO) and self.course.ending is None:
            self.course.lose(injection, f"the lease of {injection} lapsed, and the {injection.by} undid it")
        elif result.gone:
            self.course.lose(injection, f"{injection} ended before its time: the fault went with {result.gone}")

    def _keep(self, injection: Injection) -> None:
        """Keep what a fault has written down; a full disk costs us that, and nothing else."""
        how = behaviour(injection.kind)
        if isinstance(how, Keeping) and (written := how.keeps(injection.record)):
            name, number = self.experiment.id, self.number
            try:
                searches.keep(self._directory, name, number, injection.action, injection.subject, Path(written))
            except OSError as error:
                _log.warning("what %s has written down is lost: %s", injection, words_of(error))

    async def _recovery(self, since_s: float) -> None:
        """Watch until all is steady again and as it was before the fault, or the deadline."""
        deadline_s = since_s + self.experiment.recovery_deadline_s
        least_s = since_s + least_recovery_s(self.experiment)
        while (now_s := self.course.now_s()) < deadline_s:
            if now_s >= least_s and self._sampler.steady(since_s):
                seen = Samples(self.record(), self._recording)
                if settled(self.experiment, seen):  # by the measures that will judge it
                    return
                await anyio.sleep(4 * _TICK_S)
            await anyio.sleep(_TICK_S)

    async def _guard(self) -> None:
        while not self._over():
            await anyio.sleep(1 / HZ)
            if not self._over():
                self._look()

    def _look(self) -> None:
        """Have the guard look now, and end the run if it does not agree."""
        busy_s = time.thread_time()
        violation = self._watching.look()
        self.course.guard_cpu_s += time.thread_time() - busy_s
        if violation is not None:
            self.course.end("aborted", f"{self.experiment.id}: {violation}")

    async def _sample(self) -> None:
        try:
            await self._sampler.run()
        except Exception as error:  # noqa: BLE001 - whatever broke the probes, nothing is watched any more
            self.course.end("aborted", f"{self.experiment.id}: the probes failed: {words_of(error)}")

    def _over(self) -> bool:
        return self._end_s is not None

    def _may_write(self) -> bool:
        """Undoing may take its time once a trial is to end; data checks write nothing meanwhile."""
        return not self.aborted and not self.course.closed.is_set()

    def _cut_short(self) -> bool:
        return bool(self.aborted) or self.course.ending is not None

    def _abort(self, why: str) -> None:
        """End this trial; the run goes on."""
        self.aborted = self.aborted or why
        self._emit(EventKind.ABORTED, None, why)
        self._scope.cancel()

    def _observe(self, observation: Observation) -> None:
        self._recording.add(observation)
        self.course.observe(observation)

    def _phase(self, phase: Phase) -> float:
        self.course.emit(
            EventKind.PHASE_STARTED, experiment=self.experiment.id, trial=self.number, phase=phase, detail=phase.value
        )
        return self.course.now_s()

    def _emit(self, kind: EventKind, action: Action | None, detail: str, ago_s: float = 0.0) -> None:
        of = action.id if action else None
        self.course.emit(kind, experiment=self.experiment.id, trial=self.number, action=of, detail=detail, ago_s=ago_s)


async def _bounded(work: Callable[[], T]) -> T:
    """Do it in a worker thread to its end, even if the run ends meanwhile; give up after ``INJECT_S`` seconds."""
    try:
        with anyio.fail_after(INJECT_S, shield=True):
            return await anyio.to_thread.run_sync(work, abandon_on_cancel=True)
    except TimeoutError:
        raise UnavailableError(f"it takes longer than {INJECT_S:g} s.") from None
