"""service.crash: the instance ends at once by a signal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from executor.drivers.driver import Ends, able, push_on
from executor.drivers.targets import Resolved, ResolvedInstance
from executor.faults.behaviour import Context, Record
from executor.faults.service.down import Down

if TYPE_CHECKING:
    from executor.model.faults.service import Crash as Spec


class Crash(Down):
    """Undone when an instance that fits is running again."""

    kind = "service.crash"

    def prepare(self, fault: Spec, target: Resolved, context: Context) -> dict[str, Any]:
        """Record how the instance was started."""
        assert isinstance(target, ResolvedInstance)
        recipe = able(target, Ends).ending(target, context, by=fault.restart)
        return {"driver": target.driver, **recipe, "signal": fault.signal, "restart": fault.restart}

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:
        """Send the signal and see it end. Raises ``UnavailableError`` if it is gone, or does not end."""
        able(record, Ends).kill(record, record["signal"].removeprefix("SIG"))
        push_on(record, lease_s)
        return {}
