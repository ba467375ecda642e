"""service.stop: the process is asked to end, and ended if it does not in time."""

from __future__ import annotations

from signal import Signals
from typing import TYPE_CHECKING, Any

from executor.drivers import process, restart
from executor.faults.behaviour import Context, LeaseKind, ProcessTarget, Record, Resolved

if TYPE_CHECKING:
    from executor.model.faults.service import Stop as Spec


class Stop:
    """SIGTERM, then SIGKILL after the grace time; undone when an instance that fits is running again."""

    kind = "service.stop"
    lease: LeaseKind = "watchdog"

    def unsupported(self, fault: Spec, target: Resolved) -> str | None:  # noqa: ARG002 - the protocol's
        """Any process that can be found can be stopped."""
        return None

    def prepare(self, fault: Spec, target: Resolved, context: Context) -> dict[str, Any]:
        """Record how the process was started."""
        assert isinstance(target, ProcessTarget)
        return {**restart.record(target, context), "grace_s": fault.grace_s, "restart": fault.restart}

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:
        """Ask, wait for the grace time (or the lease, if that is shorter), then kill."""
        process.send(record["pid"], record["ticks"], Signals.SIGTERM)
        if not process.wait_gone(record["pid"], record["ticks"], min(record["grace_s"], lease_s)):
            process.send(record["pid"], record["ticks"], Signals.SIGKILL)
            process.wait_gone(record["pid"], record["ticks"], 2.0)
        return {}

    def active(self, record: Record) -> bool:
        """Whether no instance that fits is running."""
        return not restart.back(record)

    def revert(self, record: Record) -> None:
        """Let the supervisor start it, or start it."""
        restart.ensure(record, wait_s=restart.SUPERVISOR_S if record["restart"] == "supervisor" else 0.0)
