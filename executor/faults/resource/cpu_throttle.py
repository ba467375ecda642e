"""resource.cpu_throttle: the process's cgroup gets a quota of processor time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from executor.faults.resource.limited import Limited
from executor.kernel import cgroup_limit
from executor.kernel.cgroup import Hierarchy

if TYPE_CHECKING:
    from executor.model.faults.resource import CpuThrottle as Spec


class CpuThrottle(Limited):
    """``cpu.max``, or the CFS quota of version 1."""

    kind = "resource.cpu_throttle"
    controller = "cpu"

    def settings(self, fault: Spec, where: Hierarchy) -> Mapping[str, str]:
        """The quota."""
        return cgroup_limit.cpu_quota(where, fault.quota_percent)
