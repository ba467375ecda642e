"""resource.processes: the process's cgroup may have no more processes and threads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from executor.faults.resource.limited import Limited
from executor.kernel.cgroup import Hierarchy

if TYPE_CHECKING:
    from executor.model.faults.resource import Processes as Spec


class Processes(Limited):
    """``pids.max``, the same in both versions: fork and clone fail with EAGAIN."""

    kind = "resource.processes"
    controller = "pids"

    def settings(self, fault: Spec, where: Hierarchy) -> Mapping[str, str]:  # noqa: ARG002 - the same in both
        """The most that there may be."""
        return {"pids.max": str(fault.max)}
