"""service.crash: the process ends at once by a signal."""

from __future__ import annotations

from signal import Signals
from typing import TYPE_CHECKING, Any

from executor.drivers import process, restart
from executor.faults.behaviour import Context, LeaseKind, ProcessTarget, Record, Resolved

if TYPE_CHECKING:
    from executor.model.faults.service import Crash as Spec


class Crash:
    """Kills through a pidfd; undone when an instance that fits is running again."""

    kind = "service.crash"
    lease: LeaseKind = "watchdog"

    def unsupported(self, fault: Spec, target: Resolved) -> str | None:  # noqa: ARG002 - the protocol's
        """Any process that can be found can be killed."""
        return None

    def prepare(self, fault: Spec, target: Resolved, context: Context) -> dict[str, Any]:
        """Record how the process was started."""
        assert isinstance(target, ProcessTarget)
        return {**restart.record(target, context), "signal": f"SIG{fault.signal}", "restart": fault.restart}

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:  # noqa: ARG002 - the watchdog holds the lease
        """Send the signal and see the process end."""
        process.send(record["pid"], record["ticks"], Signals[record["signal"]])
        process.wait_gone(record["pid"], record["ticks"], 2.0)
        return {}

    def active(self, record: Record) -> bool:
        """Whether no instance that fits is running."""
        return not restart.back(record)

    def revert(self, record: Record) -> None:
        """Let the supervisor start it, or start it."""
        restart.ensure(record, wait_s=restart.SUPERVISOR_S if record["restart"] == "supervisor" else 0.0)
