"""resource.io_throttle: the process's cgroup gets so many bytes or operations a second of one disk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from executor.drivers.targets import Resolved
from executor.errors import UnavailableError
from executor.faults.resource.limited import Limited
from executor.kernel import cgroup_limit, volume
from executor.kernel.cgroup import Hierarchy

if TYPE_CHECKING:
    from executor.model.faults.resource import IoThrottle as Spec


class IoThrottle(Limited):
    """``io.max``, or the throttling of version 1's blkio."""

    kind = "resource.io_throttle"
    controller = "io"

    def unsupported(self, fault: Spec, target: Resolved) -> str | None:
        """The directory must be on a disk."""
        if volume.disk_of(Path(fault.path)) is None:
            return f"{fault.path} is not on a disk of this machine, or not there; it cannot be slowed."
        return super().unsupported(fault, target)

    def settings(self, fault: Spec, where: Hierarchy) -> Mapping[str, str]:
        """The rates that are limited."""
        disk = volume.disk_of(Path(fault.path))
        if disk is None:
            raise UnavailableError("is not on a disk any more.", where=fault.path)
        rates = {"rbps": fault.read_bps, "wbps": fault.write_bps, "riops": fault.read_iops, "wiops": fault.write_iops}
        return cgroup_limit.io_limit(where, disk, {name: rate for name, rate in rates.items() if rate})
