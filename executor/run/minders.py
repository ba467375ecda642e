"""What runs beside the stages of a run: it heeds halt and stop, renews leases, and keeps the watchdog alive."""

from __future__ import annotations

import threading
import time
from functools import partial

import anyio
import anyio.to_thread

from executor.errors import FaultGoneError, UnavailableError
from executor.faults.behaviour import Renewable
from executor.run.course import Course, Held
from executor.run.orders import HEED_S
from executor.safety.guard import HZ, HostGuard, Violation
from executor.state import reserve, undo_notes

_MIND_S = 0.2
_ASK_S = 2.0
"""How often the watchdog is asked whether it is well; that it is gone is seen within ``_MIND_S``."""


class Minders:
    """Start each method that begins with ``mind`` in a task; they run until cancelled."""

    def __init__(self, course: Course) -> None:
        self._course = course
        self._guardian_lock = threading.Lock()

    def ensure(self) -> None:
        """See that the watchdog is well, or replace it. Blocks. Raises ``UnavailableError`` if that cannot be."""
        with self._guardian_lock:
            if self._course.guardian.ensure():
                self._course.journal.note("executor", "watchdog_replaced", run=self._course.run)

    async def mind_orders(self) -> None:
        """End the run when a halt or a stop was heeded, and at the longest that a run may take."""
        course = self._course
        while True:
            if course.order is not None:
                course.end(course.order.outcome, course.order.reason)
            if course.now_s() > course.limits.run_s_max:
                most = f"{course.limits.run_s_max:g} s"
                course.end("aborted", str(Violation("run length", f"{course.now_s():.0f} s", most)))
            await anyio.sleep(HEED_S)

    async def mind_host(self) -> None:
        """End the run when the host runs short of processor or memory."""
        course = self._course
        guard = HostGuard(course.limits.guard)
        while True:
            await anyio.sleep(1 / HZ)
            busy_s = time.thread_time()
            violation = guard.look()
            course.guard_cpu_s += time.thread_time() - busy_s
            if violation is not None:
                course.end("aborted", str(violation))

    async def mind_watchdog(self) -> None:
        """Replace a watchdog that is gone or hangs; end the run if there is none to be had."""
        asked = anyio.current_time()
        while True:
            await anyio.sleep(_MIND_S)
            if not self._course.guardian.exited() and anyio.current_time() < asked + _ASK_S:
                continue
            try:
                await anyio.to_thread.run_sync(self.ensure)
            except UnavailableError as error:
                self._course.end("aborted", str(error))
            asked = anyio.current_time()

    async def mind_leases(self) -> None:
        """Renew every lease long before it lapses; end the run if one has lapsed or cannot be renewed."""
        course = self._course
        while True:
            await anyio.sleep(course.limits.lease_s / 4)
            held = list(course.held.values())
            if not held:
                continue
            try:
                lost = await anyio.to_thread.run_sync(partial(self._renew, held))
            except Exception as error:  # noqa: BLE001 - whatever stands in the way, the fault may not live on
                course.end("aborted", f"a lease could not be renewed: {error}")
                continue
            if not reserve.is_kept(course.home.journal):
                course.end("aborted", f"the disk is full under {course.home.path}; room is left for undoing only")
            for each, why in lost:
                if each.injection.id in course.held:  # else it has just been undone, in its time
                    course.lose(each.injection, f"{each.injection} ended before its time: {why}")

    def _renew(self, held: list[Held]) -> list[tuple[Held, str]]:
        """Renew; returns those that are lost, and why. The journal first: what lapsed there is renewed nowhere."""
        course = self._course
        course.journal.renew(course.run, course.limits.lease_s)
        pending = course.journal.pending(course.run)
        live = {i.id for i in pending if i.state in ("armed", "injected") and not i.lapsed}
        undo_notes.renew(course.home, (i for i in pending if i.id in live), course.limits.lease_s)
        lost = [(each, "its lease lapsed, and it was undone") for each in held if each.injection.id not in live]
        for each in held:
            if each.record is not None and each.injection.id in live and isinstance(each.how, Renewable):
                try:
                    each.how.renew(each.record, course.limits.lease_s)
                except FaultGoneError as gone:
                    lost.append((each, gone.message.rstrip(".")))
        return lost
