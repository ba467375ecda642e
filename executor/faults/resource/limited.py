"""What faults share that are a limit on the process's cgroup."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from executor.drivers.targets import ProcessTarget, Resolved
from executor.errors import UnavailableError
from executor.faults.behaviour import Context, LeaseKind, Record
from executor.kernel import cgroup, cgroup_limit
from executor.kernel.cgroup import Hierarchy


class Limited:
    """The half of a behaviour that sets limits on a cgroup and takes them back."""

    lease: LeaseKind = "watchdog"
    unclaimed = True
    controller: str

    def settings(self, fault: Any, where: Hierarchy) -> Mapping[str, str]:
        """What is written to which file of the cgroup."""
        raise NotImplementedError

    def lacking(self) -> str | None:
        """The controller, where limits can be set by it."""
        return cgroup_limit.unusable(self.controller)

    def unsupported(self, fault: Any, target: Resolved) -> str | None:  # noqa: ARG002 - the protocol's
        """The controller must be there, and the process's cgroup, or one for it, ours to change."""
        assert isinstance(target, ProcessTarget)
        try:
            where = cgroup.hierarchy(self.controller)
        except UnavailableError as error:
            return str(error)
        return cgroup_limit.impossible(where, target.pid, target.start_ticks)

    def prepare(self, fault: Any, target: Resolved, context: Context) -> dict[str, Any]:
        """Record the limits as they are. Raises ``UnavailableError`` if the process is gone, or cannot be limited."""
        assert isinstance(target, ProcessTarget)
        if reason := self.unsupported(fault, target):
            raise UnavailableError(reason, where=target.instance)
        where = cgroup.hierarchy(self.controller)
        return cgroup_limit.plan(where, target.pid, target.start_ticks, self.settings(fault, where), context.mark)

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:  # noqa: ARG002 - the watchdog holds the lease
        """Set them. Raises ``UnavailableError`` if the process is gone, or the kernel refuses."""
        cgroup_limit.impose(record)
        return {}

    def active(self, record: Record) -> bool | None:
        """Whether they stand."""
        return cgroup_limit.imposed(record)

    def revert(self, record: Record) -> None:
        """As they were."""
        cgroup_limit.lift(record)
