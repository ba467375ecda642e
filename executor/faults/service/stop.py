"""service.stop: the instance is asked to end, and ended if it does not in time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from executor.drivers.driver import Ends, able, push_on
from executor.drivers.targets import Resolved, ResolvedInstance
from executor.faults.behaviour import Context, Record
from executor.faults.service.down import Down

if TYPE_CHECKING:
    from executor.model.faults.service import Stop as Spec

LONGEST_GRACE_S = 12.0
"""Neither an injection nor its undoing can be broken off while it waits, and each is given up after 20 s."""


class Stop(Down):
    """Undone when an instance that fits is running again; one that was asked to end comes to its end first."""

    kind = "service.stop"

    def unsupported(self, fault: Spec, target: Resolved) -> str | None:
        """It must be ours to end, with a way to start it again, and its grace time short."""
        if fault.grace_s > LONGEST_GRACE_S:
            return f"a grace time of {fault.grace_s:g} s is not waited for; give at most {LONGEST_GRACE_S:g} s."
        return super().unsupported(fault, target)

    def prepare(self, fault: Spec, target: Resolved, context: Context) -> dict[str, Any]:
        """Record how the instance was started."""
        assert isinstance(target, ResolvedInstance)
        recipe = able(target, Ends).ending(target, context, by=fault.restart, grace_s=fault.grace_s)
        return {"driver": target.driver, **recipe, "restart": fault.restart}

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:
        """Ask, wait for the grace time, then end it. Raises ``UnavailableError`` if it is gone before."""
        able(record, Ends).stop(record)
        push_on(record, lease_s)
        return {}
