"""From an approved plan to an admitted run: all is asked again, now, and then the approval is used up.

Nothing is touched here; until ``admit`` has returned, the approval is as it was.
"""

from __future__ import annotations

import threading
from datetime import datetime

import anyio

from executor.clock import Clock
from executor.errors import MurphyError, SafetyRefusalError, StoppedError
from executor.model.approval import Approval
from executor.model.digest import digest
from executor.model.plan import Plan
from executor.model.system import System
from executor.model.wording import many_are
from executor.safety.approval import verify
from executor.safety.budget import refuse_spent
from executor.safety.halt import Lowered
from executor.safety.limits import Limits
from executor.safety.preflight import Ready, healthy, preflight, refuse_halted
from executor.safety.radius import joint
from executor.safety.reach import run_s
from executor.safety.readiness import refuse_unready
from executor.safety.windows import refuse_outside_windows
from executor.state import reserve, undo_notes
from executor.state.home import Home
from executor.state.journal import Journal
from executor.undo.guardian import Guardian

_POLL_S = 0.05


def ask(
    plan: Plan,
    approval: Approval,
    system: System,
    limits: Limits,
    home: Home,
    journal: Journal,
    guardian: Guardian,
    stop: threading.Event | None,
    *,
    clock: Clock,
    before: Lowered,
    use: int,
) -> Ready:
    """Refuse the run, or start its watchdog and say what it will strike. Blocks for as long as a health window takes.

    ``before`` is the flag that was lowered last when it began: one that is raised since is a no, even if it is lowered
    again. Raises ``SafetyRefusalError``, ``InputError`` or ``UnavailableError``, and ``StoppedError`` once ``stop`` is
    set.
    """
    _refuse_owed(journal, home)
    journal.refuse_altered()
    reserve.keep(home.journal)
    ready = preflight(
        plan, approval, system=system, limits=limits, home=home, journal=journal, now=clock.now(), use=use
    )
    anyio.run(_well, plan, system, limits, home, stop, before)
    guardian.start()
    refuse_unready(plan, ready.targets, system=system, limits=limits, home=home)
    _refuse_late(plan, approval, system, limits, home, journal, clock.now())
    _refuse_ended(home, before, stop)
    return ready


def admit(
    journal: Journal,
    name: str,
    plan: Plan,
    approval: Approval,
    ready: Ready,
    *,
    use: int,
    system: System,
    limits: Limits,
) -> None:
    """Use the approval up and begin the run, in one transaction that no other run's overlaps.

    Raises ``SafetyRefusalError`` or ``UnavailableError``: nothing has begun, and the approval is as it was.
    """
    grant = approval.grant
    journal.admit(
        name,
        nonce=grant.nonce,
        uses=grant.uses,
        use=use,
        plan_digest=digest(plan),
        environment=plan.environment.value,
        reach=ready.reach,
        check=lambda rows: joint(ready.reach, rows, system, limits),
        detail={
            "proposer": plan.proposer,
            "approver": grant.approver,
            "key": approval.key,
            "basis": grant.basis,
            "limits": grant.limits_digest,
            "valid_until": grant.valid_until.isoformat(),
        },
    )


def _refuse_late(
    plan: Plan, approval: Approval, system: System, limits: Limits, home: Home, journal: Journal, now: datetime
) -> None:
    """All that time may have changed while the system's health was looked at, for minutes perhaps."""
    verify(approval, plan, limits, home, now, installation=journal.installation, system=system)
    refuse_outside_windows(limits.change_windows, plan.environment, now, run_s(plan))


def _refuse_ended(home: Home, before: Lowered, stop: threading.Event | None) -> None:
    refuse_halted(home, before)
    if stop is not None and stop.is_set():
        raise StoppedError("the run was stopped before it began: nothing was touched, and its approval is as it was.")


def _refuse_owed(journal: Journal, home: Home) -> None:
    with journal.store.still():  # else a run that begins, or ends, in between would seem to owe
        running, pending = {row.run for row in journal.running()}, journal.pending()
    owed = [f"{injection}: {injection.error}" for injection in pending if injection.run not in running]
    known = {injection.mark for injection in pending}
    owed += [
        f"{note}: only its note says so" for note in undo_notes.left(home) if not (note.held or note.mark in known)
    ]
    owed += [f"{path} cannot be read, and says what is to be undone" for path in undo_notes.unreadable(home)]
    if owed:
        raise SafetyRefusalError(
            "nothing owed",
            measured=f"{many_are(len(owed), 'revert')} owed, first {owed[0]}",
            limit="none",
            hint="murphy recover tries them again, and murphy recover --sweep looks for more.",
        )


async def _well(
    plan: Plan, system: System, limits: Limits, home: Home, stop: threading.Event | None, before: Lowered
) -> None:
    """Refuse an unwell system, and one whose error budget is spent.

    Does not wait for the answer once ``stop`` is set or all is halted: then nothing will be done to it.
    """
    refusal: MurphyError | None = None

    async def cancel_on(scope: anyio.CancelScope) -> None:
        nonlocal refusal
        while True:
            try:
                _refuse_ended(home, before, stop)
            except MurphyError as no:
                refusal = no
                break
            await anyio.sleep(_POLL_S)
        scope.cancel()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(cancel_on, tasks.cancel_scope)
        try:
            await refuse_spent(limits.error_budget)
            await healthy(plan, system)
        except MurphyError as error:
            refusal = error
        tasks.cancel_scope.cancel()
    if refusal is not None:
        raise refusal
