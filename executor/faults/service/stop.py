"""service.stop: the process is asked to end, and ended if it does not in time."""

from __future__ import annotations

from signal import Signals
from typing import TYPE_CHECKING, Any

from executor.drivers import process, restart
from executor.faults.behaviour import Context, LeaseKind, ProcessTarget, Record, Resolved
from executor.faults.service.down import Down

if TYPE_CHECKING:
    from executor.model.faults.service import Stop as Spec

LONGEST_GRACE_S = 30.0
"""An injection cannot be broken off while it waits."""
_ENDS_WITHIN_S = 5.0


class Stop(Down):
    """SIGTERM, then SIGKILL after the grace time; undone when an instance that fits is running again."""

    kind = "service.stop"
    lease: LeaseKind = "watchdog"

    def unsupported(self, fault: Spec, target: Resolved) -> str | None:
        """It must be ours to signal, with a way to start it again, and its grace time short."""
        assert isinstance(target, ProcessTarget)
        if fault.grace_s > LONGEST_GRACE_S:
            return f"a grace time of {fault.grace_s:g} s is not waited for; give at most {LONGEST_GRACE_S:g} s."
        return process.forbidden(target.pid, target.start_ticks) or restart.impossible(target)

    def prepare(self, fault: Spec, target: Resolved, context: Context) -> dict[str, Any]:
        """Record how the process was started."""
        assert isinstance(target, ProcessTarget)
        return {**restart.record(target, context, by=fault.restart), "grace_s": fault.grace_s}

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:  # noqa: ARG002 - the watchdog holds the lease
        """Ask, wait for the grace time, then kill what is left. Raises ``UnavailableError`` if it is gone before."""
        head, where = record["members"][0], record["instance"]
        if not process.end_all([head], Signals.SIGTERM, record["grace_s"], where=where, surely=False):
            process.end_all([head], Signals.SIGKILL, _ENDS_WITHIN_S, where=where)
        for pid, ticks in record["members"][1:]:  # a server ends its workers itself; a killed one could not
            process.send(pid, ticks, Signals.SIGKILL)
        return {}
