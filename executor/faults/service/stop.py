"""service.stop: the process is asked to end, and ended if it does not in time."""

from __future__ import annotations

from pathlib import Path
from signal import Signals
from typing import TYPE_CHECKING, Any

from executor.drivers import process, restart
from executor.faults.behaviour import Context, LeaseKind, ProcessTarget, Record, Resolved
from executor.faults.service.down import Down

if TYPE_CHECKING:
    from executor.model.faults.service import Stop as Spec

LONGEST_GRACE_S = 12.0
"""Neither an injection nor its undoing can be broken off while it waits, and each is given up after 20 s."""
_ENDS_WITHIN_S = 5.0


class Stop(Down):
    """SIGTERM, then SIGKILL after the grace time; undone when an instance that fits is running again.

    One that was asked and still runs is about to end: undoing sees to that first, or it would end afterwards, for good.
    """

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
        asked = str(Path(context.scratch) / f"{context.mark}.asked")
        return {**restart.record(target, context, by=fault.restart), "grace_s": fault.grace_s, "asked": asked}

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:  # noqa: ARG002 - the watchdog holds the lease
        """Ask, wait for the grace time, then kill what is left. Raises ``UnavailableError`` if it is gone before."""
        head, where = record["members"][0], record["instance"]
        Path(record["asked"]).touch(mode=0o600)
        if not process.end_all([head], Signals.SIGTERM, record["grace_s"], where=where, surely=False):
            process.end_all([head], Signals.SIGKILL, _ENDS_WITHIN_S, where=where)
        _end_workers(record)
        return {}

    def active(self, record: Record) -> bool:
        """Whether no instance that fits is running, or only one that was asked to end."""
        return _asked(record) or super().active(record)

    def revert(self, record: Record) -> None:
        """Let one that was asked come to its end, and kill it after the grace time; then see an instance back."""
        if _asked(record):
            pid, ticks = record["members"][0]
            if not process.wait_gone(pid, ticks, record["grace_s"]):
                process.send(pid, ticks, Signals.SIGKILL)
                process.wait_gone(pid, ticks, _ENDS_WITHIN_S)
            _end_workers(record)
        super().revert(record)
        if "asked" in record:  # else an earlier Murphy wrote it
            Path(record["asked"]).unlink(missing_ok=True)


def _asked(record: Record) -> bool:
    """Whether the process of then still runs and may have been asked to end."""
    return "asked" in record and Path(record["asked"]).exists() and process.alive(*record["members"][0])


def _end_workers(record: Record) -> None:
    """A server ends its workers itself; a killed one could not."""
    for pid, ticks in record["members"][1:]:
        process.send(pid, ticks, Signals.SIGKILL)
