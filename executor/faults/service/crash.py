"""service.crash: the process ends at once by a signal."""

from __future__ import annotations

from signal import Signals
from typing import TYPE_CHECKING, Any

from executor.drivers import process, restart
from executor.faults.behaviour import Context, LeaseKind, ProcessTarget, Record, Resolved
from executor.faults.service.down import Down

if TYPE_CHECKING:
    from executor.model.faults.service import Crash as Spec

_ENDS_WITHIN_S = 10.0
"""A process that dumps core ends only when the core is written."""


class Crash(Down):
    """Kills it and its workers through pidfds; undone when an instance that fits is running again."""

    kind = "service.crash"
    lease: LeaseKind = "watchdog"

    def unsupported(self, fault: Spec, target: Resolved) -> str | None:  # noqa: ARG002 - the protocol's
        """It must be ours to signal, and there must be a way to start it again."""
        assert isinstance(target, ProcessTarget)
        return process.forbidden(target.pid, target.start_ticks) or restart.impossible(target)

    def prepare(self, fault: Spec, target: Resolved, context: Context) -> dict[str, Any]:
        """Record how the process was started."""
        assert isinstance(target, ProcessTarget)
        return {**restart.record(target, context, by=fault.restart), "signal": f"SIG{fault.signal}"}

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:  # noqa: ARG002 - the watchdog holds the lease
        """Send the signal and see the processes end. Raises ``UnavailableError`` if they are gone, or do not end."""
        process.end_all(record["members"], Signals[record["signal"]], _ENDS_WITHIN_S, where=record["instance"])
        return {}
