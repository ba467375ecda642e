"""Whether what a data fault could cost can be got back: a backup that is there, not empty, recent and restorable."""

from __future__ import annotations

import os
import select
import signal
import stat
import subprocess
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from executor.errors import SafetyRefusalError
from executor.model.plan import InstanceTarget, Plan
from executor.model.system import Backup, Service, System

FILES_MAX = 100_000
"""Of a backup that is a directory no more files are looked at."""
_SKEW_S = 60.0
"""Clocks may differ by this much; a backup from further in the future is dated wrongly."""


def refuse_without_backup(plan: Plan, system: System) -> None:
    """Raise ``SafetyRefusalError`` unless each data fault strikes disposable data, or a service with a good backup.

    Runs each such service's ``verify_command``; blocks for as long as that may take.
    """
    asked: set[str] = set()
    for action in plan.actions:
        if action.fault.kind.startswith("data.") and isinstance(action.target, InstanceTarget):
            service = system.service(action.target.service)
            if not service.disposable and service.name not in asked:
                asked.add(service.name)
                refuse_unfit(service)


def refuse_unfit(service: Service) -> None:
    """Raise ``SafetyRefusalError`` unless the service's backup is there, not empty, recent and can be restored."""
    backup = service.backup
    if backup is None:
        measured, hint = f"{service.name} has no backup", "Say where it is, as backup in system.yaml."
        raise SafetyRefusalError("backup", measured=measured, limit="a backup, or disposable data", hint=hint)
    try:
        size, newest = _looked_at(Path(backup.path))
    except OSError as error:
        raise _no(service, f"cannot be looked at: {error.strerror}", "a readable one", _hint(backup)) from error
    if size == 0:
        raise _no(service, "is empty", "one with something in it", _hint(backup))
    age_s = time.time() - newest
    if age_s < -_SKEW_S:
        raise _no(service, f"is dated {-age_s:.0f} s in the future", "one from the past", _hint(backup))
    if age_s > backup.max_age_s:
        raise _no(service, f"is {age_s:.0f} s old", f"{backup.max_age_s:g} s (max_age_s)", _hint(backup))
    if why := _verified(backup):
        raise _no(service, f"was not found good: {why}", "a verify_command that succeeds", _hint(backup))


def _looked_at(path: Path) -> tuple[int, float]:
    """Bytes in it, and when its newest file was written. Raises ``OSError`` if it is not there."""
    found = path.stat()
    if not stat.S_ISDIR(found.st_mode):
        return found.st_size, found.st_mtime
    files = [each.lstat() for each in islice(_files(path), FILES_MAX)]
    return sum(each.st_size for each in files), max((each.st_mtime for each in files), default=found.st_mtime)


def _files(path: Path) -> Iterator[Path]:
    for directory, _, names in os.walk(path):
        yield from (Path(directory, name) for name in names)


def _verified(backup: Backup) -> str:
    """Why it is not good; empty if the command succeeds in time. No shell reads it, and nothing of it lives on."""
    try:
        process = subprocess.Popen(
            backup.verify_command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        return f"{backup.verify_command[0]}: {error.strerror}"
    in_time = _ended(process.pid, backup.verify_s)
    os.killpg(process.pid, signal.SIGKILL)  # with what it left running; before it is reaped, so it is no other's group
    status = process.wait()
    if not in_time:
        return f"{backup.verify_command[0]} takes longer than {backup.verify_s:g} s (verify_s)"
    return "" if status == 0 else f"{backup.verify_command[0]} ended with status {status}"


def _ended(pid: int, within_s: float) -> bool:
    """Whether our child ends in time. It is not reaped."""
    pidfd = os.pidfd_open(pid)
    try:
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        return bool(poll.poll(within_s * 1000))
    finally:
        os.close(pidfd)


def _hint(backup: Backup) -> str:
    return f"See to {backup.path}."


def _no(service: Service, measured: str, limit: str, hint: str) -> SafetyRefusalError:
    return SafetyRefusalError("backup", measured=f"the backup of {service.name} {measured}", limit=limit, hint=hint)
