"""infrastructure.storage: the volume mounted on a directory is gone, stuck, slow, read-only or full."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from executor.drivers.targets import ProcessTarget, Resolved
from executor.errors import UnavailableError
from executor.faults.behaviour import Behaviour, Context, LeaseKind, Record, lacking
from executor.faults.resource.disk_fill import DiskFill
from executor.faults.resource.disk_readonly import DiskReadonly
from executor.kernel import device_mapper, freeze, process, volume

if TYPE_CHECKING:
    from executor.model.faults import FaultSpec
    from executor.model.faults.infrastructure import Storage as Spec

_AS: Final[dict[str, Behaviour]] = {"read_only": DiskReadonly(), "full": DiskFill()}
"""What is made as another fault is made, on a whole volume."""


class Storage:
    """A volume of its own: what Murphy itself or this machine needs is never on it."""

    kind = "infrastructure.storage"
    lease: LeaseKind = "watchdog"
    unclaimed = True

    def ways_lacking(self) -> dict[str, str]:
        """The device mapper for a volume that is gone or slow; the right to change one, but to fill it."""
        reasons = {
            "detach": device_mapper.unusable(),
            "slow": device_mapper.unusable(slow=True),
            "stuck": volume.unchangeable(),
            "read_only": lacking(_AS["read_only"]),
        }
        return {how: reason for how, reason in reasons.items() if reason}

    def unsupported(self, fault: Spec, target: Resolved) -> str | None:
        """A volume must be mounted there, and nowhere else; to be gone or slow, the device mapper must have made it."""
        path = Path(fault.path)
        mount = volume.mounted_on(path)
        if reason := self.ways_lacking().get(fault.how) or volume.unfit(path):
            return reason
        if mount is None:
            return f"nothing is mounted on {path}; name the directory that the volume is mounted on."
        if volume.is_hosts(path):
            return f"the volume on {path} is one that this machine itself needs; choose one of the target's own."
        if fault.how in _AS:
            return _AS[fault.how].unsupported(_spec(fault), target)
        others = [other.point for other in volume.mounts() if other.device == mount.device and other.point != path]
        if others:
            return f"the volume on {path} is mounted on {others[0]} too, which would be struck with it."
        if fault.how == "stuck":
            known = ", ".join(freeze.KINDS)
            return None if mount.kind in freeze.KINDS else f"{mount.kind} on {path} cannot be frozen; {known} can."
        name = device_mapper.name_of(mount.device)
        if name is None:
            return f"the volume on {path} is not the device mapper's (LVM); choose stuck, read_only or full."
        return device_mapper.unfit(name)

    def prepare(self, fault: Spec, target: Resolved, context: Context) -> dict[str, Any]:
        """Record how it is mapped. Raises ``UnavailableError`` if it must not be struck, or the target is gone."""
        assert isinstance(target, ProcessTarget)
        process.require(target.pid, target.start_ticks)
        path = Path(fault.path)
        if reason := self.unsupported(fault, target) or volume.ours(path, context.scratch):
            raise UnavailableError(reason, where=target.instance)
        if fault.how in _AS:
            return {"how": fault.how, **_AS[fault.how].prepare(_spec(fault), target, context)}
        kept = {"how": fault.how, "path": fault.path, "device": volume.device_of(path)}
        if fault.how == "stuck":
            return kept
        name = device_mapper.name_of(kept["device"])
        assert name is not None  # else it is not supported
        before = device_mapper.table(name)
        then = (
            device_mapper.gone(before) if fault.how == "detach" else device_mapper.late(before, round(fault.delay_ms))
        )
        return kept | {"name": name, "before": before, "then": then}

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:
        """Do it. Raises ``UnavailableError`` if the kernel refuses, or another volume is there by now."""
        if record["how"] in _AS:
            return _AS[record["how"]].inject(record, lease_s)
        if not _there(record):
            raise UnavailableError("another volume is mounted there by now, or none.", where=record["path"])
        if record["how"] == "stuck":
            freeze.freeze(Path(record["path"]))
        else:
            device_mapper.exchange(record["name"], record["then"])
        return {}

    def active(self, record: Record) -> bool | None:
        """Whether the volume is so, asked of the kernel; one that is gone for good is not."""
        if record["how"] in _AS:
            return _AS[record["how"]].active(record)
        try:
            if record["how"] == "stuck":
                return _there(record) and freeze.frozen(Path(record["path"]))
            return _exchanged(record)
        except (OSError, UnavailableError):
            return None

    def revert(self, record: Record) -> None:
        """As it was. Raises ``UnavailableError`` if the kernel refuses."""
        if record["how"] in _AS:
            _AS[record["how"]].revert(record)
        elif record["how"] == "stuck":
            if _there(record):
                freeze.thaw(Path(record["path"]))
        elif _exchanged(record):
            device_mapper.exchange(record["name"], record["before"])


def _exchanged(record: Record) -> bool:
    """Whether the volume is there and not as it was: mapped otherwise, or left standing still half-way."""
    if device_mapper.name_of(record["device"]) != record["name"]:
        return False
    return device_mapper.suspended(record["name"]) or device_mapper.table(record["name"]) != record["before"]


def _there(record: Record) -> bool:
    """Whether that very volume is still mounted there."""
    mount = volume.mounted_on(Path(record["path"]))
    return mount is not None and mount.device == record["device"]


def _spec(fault: Spec) -> FaultSpec:
    from executor.model.faults import resource

    kind = resource.DiskReadonly if fault.how == "read_only" else resource.DiskFill
    return kind(path=fault.path)
