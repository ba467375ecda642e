"""All that must be true right before a run, asked now: of the journal, the approval, the system and the machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from executor.drivers.resolve import everyone, resolve
from executor.drivers.targets import Resolved
from executor.errors import SafetyRefusalError, UnavailableError
from executor.faults import registry
from executor.faults.behaviour import Behaviour, why_not
from executor.model.approval import Approval
from executor.model.plan import Plan
from executor.model.system import System
from executor.probes.hosts import allowed_hosts
from executor.safety import neighbours
from executor.safety.approval import verify
from executor.safety.backup import refuse_without_backup
from executor.safety.bodies import bodies
from executor.safety.case import protected
from executor.safety.drift import refuse_drift
from executor.safety.halt import Lowered, halted, halted_since, lowered
from executor.safety.health import healthy as healthy  # the asynchronous part of a preflight
from executor.safety.limits import Limits
from executor.safety.processes import (
    refuse_above_protected,
    refuse_ourselves,
    refuse_same_process,
    refuse_shared_members,
)
from executor.safety.radius import joint
from executor.safety.reach import reach_of, run_s
from executor.safety.rules import refusals
from executor.safety.windows import refuse_outside_windows
from executor.state.home import Home
from executor.state.journal import Journal, Reach
from executor.state.uses import used_up


@dataclass(frozen=True)
class Ready:
    """A plan that may begin now, as far as could be told without touching anything."""

    reach: Reach
    targets: Mapping[str, tuple[Resolved, ...]]
    """What each action's selector means right now, by action id. Before a later trial it may mean another process."""
    hosts: frozenset[str]
    """Hosts that probes may ask, beside loopback."""


def preflight(
    plan: Plan,
    approval: Approval,
    *,
    system: System,
    limits: Limits,
    home: Home,
    journal: Journal,
    now: datetime,
    use: int = 1,
    planned: System | None = None,
    behaviour: Callable[[str], Behaviour] = registry.behaviour,
) -> Ready:
    """Refuse the run, or say what it will strike. Blocks while it looks at processes and backups; touches nothing.

    ``use`` is the number of the approval's use that this run is to be. ``planned`` is the system as it was planned for,
    if it is still known: it lets a refusal say what changed. The system's health is asked by ``healthy``, and the
    approval is consumed by ``Journal.admit``; both belong to it. Raises ``SafetyRefusalError``, ``InputError`` or
    ``UnavailableError``.
    """
    refuse_halted(home, lowered(home))
    _refuse_used(journal, approval, use)
    refuse_drift(plan, system, planned)
    verify(approval, plan, limits, home, now, installation=journal.installation, system=system)
    for refusal in refusals(plan, system, limits):
        raise refusal
    refuse_outside_windows(limits.change_windows, plan.environment, now, run_s(plan))
    joint(reach_of(plan, system, protected(system, limits)), journal.running(), system, limits)
    journal.note(
        "preflight", "asked", plan=approval.grant.plan_digest, nonce=approval.grant.nonce
    )  # written and synced
    targets = {action.id: resolve(action.target, system) for action in plan.actions}
    refuse_ourselves(targets)
    every = everyone(system)
    refuse_same_process(targets, every)
    refuse_shared_members(targets, every)
    refuse_above_protected(targets, every, limits)
    beside = neighbours.look(plan.actions, targets, system, behaviour, every=every)
    neighbours.refuse_strangers(beside, limits)
    for refusal in refusals(plan, system, limits, beside.also):
        raise refusal
    reach = reach_of(plan, system, protected(system, limits), beside.also)
    reach = replace(reach, bodies=bodies(each for resolved in targets.values() for each in resolved))
    joint(reach, journal.running(), system, limits)
    _refuse_unsupported(plan, targets, behaviour)
    refuse_without_backup(plan, system)
    return Ready(reach=reach, targets=targets, hosts=allowed_hosts(system))


def refuse_halted(home: Home, before: Lowered) -> None:
    """Raise ``SafetyRefusalError`` while everything is halted, or if it was since ``lowered`` gave ``before``."""
    if flag := halted_since(home, before):
        over = halted(home) is None
        raise SafetyRefusalError(
            "halt",
            measured=f"{flag.by} halted everything ({flag.reason}, {flag.since})",
            limit="no run until it is resumed",
            hint="It is resumed by now: run it again." if over else "murphy resume lowers the flag.",
        )


def _refuse_used(journal: Journal, approval: Approval, use: int) -> None:
    used, uses = journal.used(approval.grant.nonce), approval.grant.uses
    if len(used) >= use or use > uses:
        raise used_up(used, uses, use)


def _refuse_unsupported(
    plan: Plan, targets: Mapping[str, tuple[Resolved, ...]], behaviour: Callable[[str], Behaviour]
) -> None:
    for action in plan.actions:
        for target in targets[action.id]:
            if why := why_not(behaviour(action.fault.kind), action.fault, target):
                raise UnavailableError(why, where=f"action {action.id}, {action.fault.kind}")
