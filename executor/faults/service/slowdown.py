"""service.slowdown: a helper stops and continues the process by turns, so that it gets a share of the time."""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import TYPE_CHECKING, Any

from executor.drivers import child, process
from executor.faults import held
from executor.faults.behaviour import Context, LeaseKind, ProcessTarget, Record, Resolved

if TYPE_CHECKING:
    from executor.model.faults.service import Slowdown as Spec

PERIOD_S = 0.1


class Slowdown:
    """The helper always lets the process go on when it ends; if it is killed, the watchdog's revert does."""

    kind = "service.slowdown"
    lease: LeaseKind = "watchdog"

    def unsupported(self, fault: Spec, target: Resolved) -> str | None:  # noqa: ARG002 - the protocol's
        """Any process that can be found can be slowed."""
        return None

    def prepare(self, fault: Spec, target: Resolved, context: Context) -> dict[str, Any]:
        """Record which process, and how much it keeps."""
        assert isinstance(target, ProcessTarget)
        share = fault.cpu_percent / 100
        return {"pid": target.pid, "ticks": target.start_ticks, "share": share, **held.record(context)}

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:
        """Start the helper."""
        arguments = [str(record["pid"]), str(record["ticks"]), str(record["share"])]
        return held.start("executor.faults.service.slowdown", arguments, record, lease_s)

    def renew(self, record: Record, lease_s: float) -> None:
        """Push the helper's deadline on."""
        held.renew(record, lease_s)

    def active(self, record: Record) -> bool:
        """Whether the helper is at work, or has left the process stopped."""
        return held.alive(record) or process.state(record["pid"], record["ticks"]) == "T"

    def revert(self, record: Record) -> None:
        """End the helper and let the process go on."""
        held.end(record)
        process.send(record["pid"], record["ticks"], signal.SIGCONT)


def main() -> None:
    """The helper: stop, continue, and always continue at the end."""
    lease, (pid, ticks, share) = child.lease(sys.argv[1:])
    target = (int(pid), int(ticks))
    run_s = PERIOD_S * float(share)
    signal.signal(signal.SIGTERM, _leave)
    child.ready()
    try:
        while process.send(*target, signal.SIGSTOP):
            if not lease.wait(PERIOD_S - run_s):
                return
            process.send(*target, signal.SIGCONT)
            if not lease.wait(run_s):
                return
    finally:
        process.send(*target, signal.SIGCONT)


def _leave(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a signal handler's
    sys.exit(0)


if __name__ == "__main__":
    main()
