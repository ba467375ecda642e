"""resource.io_error: a helper mounts a directory over itself, and lets calls in it fail."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from executor.drivers.targets import ProcessTarget, Resolved
from executor.errors import UnavailableError
from executor.faults import held
from executor.faults.behaviour import Context, LeaseKind, Record
from executor.kernel import fuse, process, volume

if TYPE_CHECKING:
    from executor.model.faults.resource import IoError as Spec


class IoError(held.Held):
    """The helper takes its mount away when it ends; when it is killed all calls fail, until the watchdog does."""

    kind = "resource.io_error"
    lease: LeaseKind = "watchdog"

    def lacking(self) -> str | None:
        """FUSE, and what FUSE needs."""
        return fuse.unusable()

    def unsupported(self, fault: Spec, target: Resolved) -> str | None:
        """The directory must be the target's own, seen by it as by us, and hold nothing that processes share by it."""
        assert isinstance(target, ProcessTarget)
        path = Path(fault.path)
        if not volume.same_files(target.pid):
            return f"{target.instance} sees another file system than Murphy; run Murphy where it runs."
        for there in volume.sources("murphy-"):
            if path.is_relative_to(there.point):
                return f"{path} is struck by another fault already ({there.source})."
        if reason := volume.unfit(path):
            return reason
        for there in volume.mounts():
            if path in there.point.parents:  # it could not be unmounted by its path, nor would its options hold
                return f"{there.point} is mounted below {path}; choose a directory without other volumes in it."
        if (what := volume.shared(path)) is not None:
            return f"{what}, and who opens it during the fault would not get the same; choose a directory without it."
        return None

    def prepare(self, fault: Spec, target: Resolved, context: Context) -> dict[str, Any]:
        """Record what fails where. Raises ``UnavailableError`` if it must not be, or the target is gone."""
        assert isinstance(target, ProcessTarget)
        process.require(target.pid, target.start_ticks)
        if (
            reason := self.lacking()
            or self.unsupported(fault, target)
            or volume.ours(Path(fault.path), context.scratch)
        ):
            raise UnavailableError(reason, where=target.instance)
        fails = {
            "errno": fault.errno,
            "probability": fault.probability,
            "operations": list(fault.operations),
            "files": fault.files,
        }
        return {"path": fault.path, "mark": context.mark, "fails": fails, **held.record(context)}

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:
        """Start the helper; it is ready once the mount stands. Raises ``UnavailableError`` if it cannot be made."""
        arguments = [record["mark"], record["path"], json.dumps(record["fails"])]
        return held.start("executor.faults.resource.passthrough", arguments, record, lease_s)

    def active(self, record: Record) -> bool:
        """Whether the mount is there, with its helper or without."""
        return _mounted(record) or held.alive(record)

    def revert(self, record: Record) -> None:
        """Take the mount away, while files are open in it too, and end the helper.

        Raises ``UnavailableError`` if the mount stays.
        """
        with suppress(UnavailableError):  # the helper may be taking it away at this moment
            _unmount(record)
        held.end(record)
        _unmount(record)  # one that was made meanwhile


def _unmount(record: Record) -> None:
    while _mounted(record):
        volume.unmount(Path(record["path"]))


def _mounted(record: Record) -> bool:
    return any(mount.source == record["mark"] and mount.point == Path(record["path"]) for mount in volume.mounts())
