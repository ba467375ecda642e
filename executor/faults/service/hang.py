"""service.hang: the process stands still."""

from __future__ import annotations

from signal import Signals
from typing import TYPE_CHECKING, Any

from executor.drivers import process
from executor.errors import UnavailableError
from executor.faults.behaviour import Context, LeaseKind, ProcessTarget, Record, Resolved

if TYPE_CHECKING:
    from executor.model.faults.service import Hang as Spec


class Hang:
    """SIGSTOP through a pidfd; SIGCONT undoes it."""

    kind = "service.hang"
    lease: LeaseKind = "watchdog"

    def unsupported(self, fault: Spec, target: Resolved) -> str | None:  # noqa: ARG002 - the protocol's
        """Any process that can be found can be stopped."""
        return None

    def prepare(self, fault: Spec, target: Resolved, context: Context) -> dict[str, Any]:  # noqa: ARG002
        """Record which process. Raises ``UnavailableError`` for one that somebody else has stopped already."""
        assert isinstance(target, ProcessTarget)
        if process.state(target.pid, target.start_ticks) in ("T", "t", None):
            raise UnavailableError(f"process {target.pid} does not run now.", where=target.instance)
        return {"pid": target.pid, "ticks": target.start_ticks}

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:  # noqa: ARG002 - the watchdog holds the lease
        """Stop it."""
        process.send(record["pid"], record["ticks"], Signals.SIGSTOP)
        return {}

    def active(self, record: Record) -> bool:
        """Whether it is stopped; a process that is gone is not."""
        return process.state(record["pid"], record["ticks"]) == "T"

    def revert(self, record: Record) -> None:
        """Let it go on."""
        process.send(record["pid"], record["ticks"], Signals.SIGCONT)
