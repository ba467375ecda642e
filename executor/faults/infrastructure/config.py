"""infrastructure.config: one value in a service's file of settings is another, and the service reads it again."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from executor.drivers.targets import ProcessTarget, Resolved
from executor.errors import UnavailableError
from executor.faults.behaviour import Context, LeaseKind, Record
from executor.faults.infrastructure import edited
from executor.kernel import process
from executor.servers import reload, settings

if TYPE_CHECKING:
    from executor.model.faults.infrastructure import Config as Spec
    from executor.model.system import ConfigFile


class Config:
    """Only in files that system.yaml names, which says too how the service is made to read one again.

    Whatever runs when the file is put back reads it again, also a process that was started with the fault in it.
    """

    kind = "infrastructure.config"
    lease: LeaseKind = "watchdog"

    def unsupported(self, fault: Spec, target: Resolved) -> str | None:
        """Such a file that may be replaced, with a value at the key, and a process that can be told."""
        assert isinstance(target, ProcessTarget)
        try:
            file = _declared(fault, target)
            edited.look(file.path, _change(_asked(file, fault)))
        except UnavailableError as error:
            return str(error)
        return reload.impossible(target, file.signal)

    def prepare(self, fault: Spec, target: Resolved, context: Context) -> dict[str, Any]:
        """Keep the file. Raises ``UnavailableError`` as ``unsupported`` says."""
        assert isinstance(target, ProcessTarget)
        file = _declared(fault, target)
        told, asked = reload.record(target, file.signal, file.command), _asked(file, fault)
        return {**told, **asked, **edited.prepare(file.path, _change(asked), context)}

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:  # noqa: ARG002 - the watchdog holds the lease
        """Change the file and have it read. Raises ``UnavailableError`` if it is no longer as it was, or not read."""
        process.require(record["pid"], record["ticks"])
        edited.put(record, _change(record))
        reload.again(record)
        return {}

    def active(self, record: Record) -> bool | None:
        """Whether the file has the value, or was put back and not read again yet."""
        return edited.active(record, _change(record))

    def revert(self, record: Record) -> None:
        """Put the file back and have it read again.

        Raises ``UnavailableError`` if somebody else has changed it too, or it is not read; the copy stays then.
        """
        if edited.put_back(record, _change(record)):
            reload.again(record)
        edited.tidy(record)


def _declared(fault: Spec, target: ProcessTarget) -> ConfigFile:
    """The file that system.yaml names. Raises ``UnavailableError`` if it names none, or not which."""
    known = target.service.config
    found = [file for file in known if fault.file in ("", file.path)]
    if len(found) != 1:
        names = ", ".join(file.path for file in known) or "none"
        why = "has no such file of settings" if not found else "has several files of settings, and one must be chosen"
        raise UnavailableError(f"{why}; system.yaml names {names} (config).", where=target.service.name)
    edited.require_seen(found[0].path, target.pid)
    return found[0]


def _asked(file: ConfigFile, fault: Spec) -> dict[str, Any]:
    return {"format": file.format, "key": fault.key, "value": fault.value}


def _change(asked: Record) -> edited.Change:
    return functools.partial(settings.changed, form=asked["format"], key=asked["key"], value=asked["value"])
