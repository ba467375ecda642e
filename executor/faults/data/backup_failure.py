"""data.backup_failure: what is declared as a service's backup cannot be written, is cut short, or cannot log in."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from executor.drivers.targets import ProcessTarget, Resolved
from executor.errors import UnavailableError
from executor.faults.behaviour import Context, LeaseKind, Record
from executor.faults.data import archive
from executor.faults.infrastructure import edited
from executor.faults.looking import Looking
from executor.kernel import process, volume

if TYPE_CHECKING:
    from executor.model.faults.data import BackupFailure as Spec

log = logging.getLogger(__name__)

_PASSWORD = re.compile(r"^((?:(?:[^:\\#]|\\.)(?:[^:\\]|\\.)*:|:){4})(.+)$", re.MULTILINE)
"""A line of ``.pgpass``: host, port, database, user, password; a colon in one of them is escaped."""
_WRONG = "not-the-password"


class BackupFailure(Looking):
    """The backups that are there stay as they are, to the byte; one that is cut short lies whole beside it meanwhile.

    Only what is declared is touched: others on the same volume are written to as ever.
    """

    kind = "data.backup_failure"
    lease: LeaseKind = "watchdog"

    def look(self, fault: Spec, target: ProcessTarget) -> dict[str, Any]:
        """A backup that is declared and that we may lay hands on."""
        service = target.service
        process.require(target.pid, target.start_ticks)
        if service.backup is None:
            raise UnavailableError("has no backup; say where it is, as backup in system.yaml.", where=service.name)
        path = Path(os.path.realpath(service.backup.path))
        if fault.how == "truncated_archive":
            return {"how": fault.how, **archive.look(path)}
        if fault.how == "target_unwritable":
            return {"how": fault.how, "path": str(path), "device": _coverable(path, target)}
        if service.backup.credentials is None:
            hint = "Name the file with its password, as credentials of backup in system.yaml."
            raise UnavailableError("is backed up by whom nobody knows.", where=service.name, hint=hint)
        return {"how": fault.how, **edited.look(service.backup.credentials, _wrong)}

    def prepare(self, fault: Spec, target: Resolved, context: Context) -> dict[str, Any]:
        """Record what is to be touched. Raises ``UnavailableError`` as ``unsupported`` says."""
        assert isinstance(target, ProcessTarget)
        record = self.look(fault, target)
        if fault.how == "truncated_archive":
            return record | archive.names(record, context.mark)
        if fault.how == "target_unwritable":
            if why := volume.ours(Path(record["path"]), context.scratch):
                raise UnavailableError(why, where=target.instance)
            return record
        return record | edited.prepare(record["file"], _wrong, context)

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:  # noqa: ARG002 - the watchdog holds the lease
        """Do it. Raises ``UnavailableError`` if what is there is not what was looked at."""
        if record["how"] == "truncated_archive":
            archive.cut(record)
        elif record["how"] == "target_unwritable":
            volume.cover(Path(record["path"]))
        else:
            edited.put(record, _wrong)
        return {}

    def active(self, record: Record) -> bool | None:
        """Whether it is so now."""
        if record["how"] == "truncated_archive":
            return archive.is_cut(record)
        if record["how"] == "target_unwritable":
            return _covered(record)
        return edited.active(record, _wrong)

    def revert(self, record: Record) -> None:
        """Undo it. Raises ``UnavailableError`` if that fails; nothing is lost then."""
        if record["how"] == "truncated_archive":
            if kept := archive.put_back(record):
                log.warning(
                    "%s was moved, or another put in its place, meanwhile; it is %s now.", record["archive"], kept
                )
        elif record["how"] == "target_unwritable":
            while _covered(record):
                volume.unmount(Path(record["path"]))
        else:
            edited.put_back(record, _wrong)
            edited.tidy(record)


def _coverable(path: Path, target: ProcessTarget) -> str:
    """The volume it is on. Raises ``UnavailableError`` if nothing may be mounted there."""
    if not path.exists():
        raise UnavailableError("is not there.", where=str(path))
    if os.geteuid() != 0:
        raise UnavailableError("can be made read-only by root alone, for a backup may be written by root.")
    if why := volume.unfit(path) if path.is_dir() else None:
        raise UnavailableError(why, where=target.service.name)
    if not process.same_namespaces(target.pid):
        raise UnavailableError("has files of its own (a container), which are not reached here.", where=target.instance)
    if volume.mounted_on(path):
        raise UnavailableError("is a volume of its own; use resource.disk_readonly.", where=str(path))
    return volume.device_of(path)


def _covered(record: Record) -> bool:
    path = Path(record["path"])
    return any(mount.point == path and mount.device == record["device"] for mount in volume.mounts())


def _wrong(text: str) -> str:
    """The same with a wrong password in each line. Raises ``UnavailableError`` if it has none."""
    changed, lines = _PASSWORD.subn(rf"\g<1>{_WRONG}", text)
    if not lines:
        raise UnavailableError("has no line in the form of .pgpass.")
    return changed
