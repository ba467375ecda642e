"""Whether everything that a run does could be undone: the last thing asked before it is admitted."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping

from executor.drivers.targets import ContainerTarget, ProcessTarget, Resolved
from executor.errors import MurphyError, SafetyRefusalError, UnavailableError
from executor.faults import registry
from executor.faults.behaviour import Behaviour, Context
from executor.model.data_check import SqlQuery
from executor.model.plan import Action, Plan
from executor.model.system import System
from executor.safety.limits import Limits
from executor.servers import postgresql
from executor.state.home import Home

FILES_MIN = 256
"""Files that must still be possible in the state directory."""
_RULE = "recovery readiness"
_MIB = 2**20


def refuse_unready(
    plan: Plan,
    targets: Mapping[str, tuple[Resolved, ...]],
    *,
    system: System,
    limits: Limits,
    home: Home,
    behaviour: Callable[[str], Behaviour] = registry.behaviour,
) -> None:
    """Raise ``SafetyRefusalError`` unless each revert's means are there, and room to write down what is to be undone.

    Each fault is prepared as it will be, in a directory that is removed again, which reads its target and the
    connections, files and privileges that undoing it needs; nothing is touched. ``targets`` are those of the preflight.
    Raises ``UnavailableError`` if the connection string of a data check is not there.
    """
    _refuse_full(home, limits)
    for access in (a for experiment in plan.experiments for check in experiment.data_checks for a in check.accesses):
        if isinstance(access, SqlQuery):
            postgresql.connection_string(access.dsn)
    with home.rehearsal() as scratch:
        context = Context(system, "murphy-readiness", scratch)
        for action in plan.actions:
            for target in targets[action.id]:
                _refuse_lost_command(action, target)
                try:
                    behaviour(action.fault.kind).prepare(action.fault, target, context)
                except (MurphyError, OSError) as error:
                    measured = f"{_name(action)} cannot be prepared: {error}"
                    raise _no(measured, "faults whose undoing can be written down") from error


def _refuse_full(home: Home, limits: Limits) -> None:
    hint = f"Make room where {home.path} is, or set MURPHY_HOME to another place."
    try:
        found = os.statvfs(home.path)
    except OSError as error:
        raise UnavailableError(f"cannot be looked at: {error.strerror}.", where=str(home.path)) from error
    free_mib = found.f_bavail * found.f_frsize / _MIB
    if free_mib < limits.state_free_mib_min:
        limit = f"{limits.state_free_mib_min} MiB (state_free_mib_min in limits.toml)"
        raise _no(f"the state directory has room for {free_mib:.0f} MiB", limit, hint)
    if found.f_files and found.f_favail < FILES_MIN:
        raise _no(f"the state directory has room for {found.f_favail} files", f"{FILES_MIN} files", hint)


def _refuse_lost_command(action: Action, target: Resolved) -> None:
    """A service that is started again by a command of its operator's needs that command."""
    if not isinstance(target, ProcessTarget) or isinstance(target, ContainerTarget):
        return  # engines start containers again
    if hasattr(action.fault, "restart") and target.service.restart_command:
        program = target.service.restart_command[0]
        if shutil.which(program) is None:
            measured = f"{_name(action)} would need {program}, which is no program here"
            raise _no(measured, "a restart_command that can be run", f"Correct it for {target.service.name}.")


def _name(action: Action) -> str:
    return f"action {action.id}, {action.fault.kind},"


def _no(measured: str, limit: str, hint: str = "murphy doctor shows what is lacking.") -> SafetyRefusalError:
    return SafetyRefusalError(_RULE, measured=measured, limit=limit, hint=hint)
