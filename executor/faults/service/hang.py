"""service.hang: the process stands still."""

from __future__ import annotations

import time
from signal import Signals
from typing import TYPE_CHECKING, Any

from executor.drivers import process
from executor.errors import UnavailableError
from executor.faults.behaviour import Context, LeaseKind, ProcessTarget, Record, Resolved

if TYPE_CHECKING:
    from executor.model.faults.service import Hang as Spec

_STOPS_WITHIN_S = 2.0


class Hang:
    """SIGSTOP to it and its workers through pidfds; SIGCONT undoes it."""

    kind = "service.hang"
    lease: LeaseKind = "watchdog"
    unclaimed = True

    def unsupported(self, fault: Spec, target: Resolved) -> str | None:  # noqa: ARG002 - the protocol's
        """It must be ours to signal, and not stand still already."""
        assert isinstance(target, ProcessTarget)
        return process.forbidden(target.pid, target.start_ticks) or process.stopped(target.pid, target.start_ticks)

    def prepare(self, fault: Spec, target: Resolved, context: Context) -> dict[str, Any]:  # noqa: ARG002
        """Record which processes. Raises ``UnavailableError`` for one that somebody else has stopped already."""
        assert isinstance(target, ProcessTarget)
        if reason := process.stopped(target.pid, target.start_ticks):
            raise UnavailableError(reason, where=target.instance)
        return {"instance": target.instance, "members": process.members(target.pid, target.start_ticks)}

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:  # noqa: ARG002 - the watchdog holds the lease
        """Stop them, it first so that it makes no more workers. Raises ``UnavailableError`` if it is gone."""
        head = record["members"][0]
        for pid, ticks in record["members"]:
            process.send(pid, ticks, Signals.SIGSTOP)
        until = time.monotonic() + _STOPS_WITHIN_S
        while (state := process.state(*head)) not in ("T", None) and time.monotonic() < until:
            time.sleep(0.005)
        if state is None:
            raise UnavailableError("the process ended before it could be stopped.", where=record["instance"])
        return {}

    def active(self, record: Record) -> bool:
        """Whether one of them stands still; a process that is gone does not."""
        return any(process.state(pid, ticks) == "T" for pid, ticks in record["members"])

    def revert(self, record: Record) -> None:
        """Let them go on, workers first."""
        for pid, ticks in reversed(record["members"]):
            process.send(pid, ticks, Signals.SIGCONT)
