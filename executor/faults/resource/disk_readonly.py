"""resource.disk_readonly: the volume mounted on a directory takes no writes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from executor.drivers.targets import ProcessTarget, Resolved
from executor.errors import UnavailableError
from executor.faults.behaviour import Context, LeaseKind, Record
from executor.kernel import process, volume

if TYPE_CHECKING:
    from executor.model.faults.resource import DiskReadonly as Spec


class DiskReadonly:
    """The volume is remounted; the kernel refuses while a file on it is open for writing."""

    kind = "resource.disk_readonly"
    lease: LeaseKind = "watchdog"
    unclaimed = True

    def lacking(self) -> str | None:
        """The right to remount."""
        return volume.unchangeable()

    def unsupported(self, fault: Spec, target: Resolved) -> str | None:  # noqa: ARG002 - the directory decides
        """A writable volume must be mounted there, and nowhere else."""
        path = Path(fault.path)
        if reason := volume.unfit(path):
            return reason
        mount = volume.mounted_on(path)
        if mount is None:
            return f"nothing is mounted on {path}; use resource.io_error with errno EROFS for a part of a volume."
        if mount.read_only:
            return f"the volume on {path} is read-only already."
        others = [other.point for other in volume.mounts() if other.device == mount.device and other.point != path]
        if others:
            return f"the volume on {path} is mounted on {others[0]} too, which would be struck with it."
        return None

    def prepare(self, fault: Spec, target: Resolved, context: Context) -> dict[str, Any]:
        """Record which volume. Raises ``UnavailableError`` if it must not be struck, or the target is gone."""
        assert isinstance(target, ProcessTarget)
        process.require(target.pid, target.start_ticks)
        path = Path(fault.path)
        if reason := self.lacking() or self.unsupported(fault, target) or volume.ours(path, context.scratch):
            raise UnavailableError(reason, where=target.instance)
        return {"path": fault.path, "device": volume.device_of(path)}

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:  # noqa: ARG002 - the watchdog holds the lease
        """Remount it. Raises ``UnavailableError`` if the kernel refuses, or another volume is there by now."""
        if _mount(record) is None:
            raise UnavailableError("another volume is mounted there by now, or none.", where=record["path"])
        try:
            volume.remount(Path(record["path"]), "ro")
        except UnavailableError as error:
            hint = "A file on it may be open for writing: use resource.io_error with errno EROFS."
            raise UnavailableError(error.message, where=record["path"], hint=hint) from None
        return {}

    def active(self, record: Record) -> bool:
        """Whether that volume is there and read-only."""
        mount = _mount(record)
        return mount is not None and mount.read_only

    def revert(self, record: Record) -> None:
        """Remount it writable. Raises ``UnavailableError`` if the kernel refuses."""
        if self.active(record):
            volume.remount(Path(record["path"]), "rw")


def _mount(record: Record) -> volume.Mount | None:
    """That very volume, if it is still mounted there."""
    mount = volume.mounted_on(Path(record["path"]))
    return mount if mount is not None and mount.device == record["device"] else None
