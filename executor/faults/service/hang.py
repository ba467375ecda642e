"""service.hang: the instance stands still."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from executor.drivers.driver import Freezes, able, push_on
from executor.drivers.targets import Resolved, ResolvedInstance
from executor.faults.behaviour import Context, LeaseKind, Record

if TYPE_CHECKING:
    from executor.model.faults.service import Hang as Spec


class Hang:
    """A process by SIGSTOP; others as their driver can."""

    kind = "service.hang"
    lease: LeaseKind = "watchdog"
    unclaimed = True
    needs = Freezes

    def unsupported(self, fault: Spec, target: Resolved) -> str | None:  # noqa: ARG002 - the protocol's
        """It must be ours to stop, and not stand still already."""
        assert isinstance(target, ResolvedInstance)
        return able(target, Freezes).unfreezable(target)

    def prepare(self, fault: Spec, target: Resolved, context: Context) -> dict[str, Any]:  # noqa: ARG002
        """Record what is stopped. Raises ``UnavailableError`` for what somebody else has stopped already."""
        assert isinstance(target, ResolvedInstance)
        return {"driver": target.driver, **able(target, Freezes).freezing(target)}

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:
        """Stop it. Raises ``UnavailableError`` if it is gone."""
        able(record, Freezes).freeze(record)
        self.renew(record, lease_s)
        return {}

    def renew(self, record: Record, lease_s: float) -> None:
        """Push on the lease that another machine keeps. Raises as ``Leased`` does; the rest the watchdog ends."""
        push_on(record, lease_s)

    def active(self, record: Record) -> bool | None:
        """Whether it stands still; what is gone does not."""
        return able(record, Freezes).frozen(record)

    def revert(self, record: Record) -> None:
        """Let it go on."""
        able(record, Freezes).thaw(record)
