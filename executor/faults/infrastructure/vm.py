"""infrastructure.vm: a machine stops, is terminated, stands still, starts anew, or loses its network or a part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from executor import extras
from executor.drivers.driver import Ends, Freezes, Machine, Part, Replaced, able, push_on, unfit
from executor.drivers.targets import Resolved, ResolvedInstance
from executor.faults.behaviour import Context, LeaseKind, Record

if TYPE_CHECKING:
    from executor.model.faults.infrastructure import Vm as Spec

_PARTS: Final[dict[str, Part]] = {"isolate": "network", "detach_nic": "nic", "detach_disk": "disk"}
_ALSO: Final[dict[str, Any]] = {"stop": Ends, "pause": Freezes, "terminate": Replaced}
"""What a driver of machines has to be able to do beside."""


class Vm:
    """As its driver can; a reset is over at once, one that is terminated is replaced, and the rest is undone."""

    kind = "infrastructure.vm"
    lease: LeaseKind = "watchdog"
    needs: type = Machine

    def ways_lacking(self) -> dict[str, str]:
        """Amazon's client: only its machines are terminated."""
        reason = extras.lacking("aws")
        return {"terminate": reason} if reason else {}

    def unsupported(self, fault: Spec, target: Resolved) -> str | None:
        """Its driver must be able to do just this."""
        assert isinstance(target, ResolvedInstance)
        if fault.how in _PARTS:
            return able(target, Machine).irremovable(target, _PARTS[fault.how], fault.device)
        if fault.how == "reset":
            return able(target, Machine).unresettable(target)
        if reason := unfit(target, _ALSO[fault.how]):
            return reason
        if fault.how == "terminate":
            return able(target, Replaced).irreplaceable(target)
        return (
            able(target, Ends).unendable(target) if fault.how == "stop" else able(target, Freezes).unfreezable(target)
        )

    def prepare(self, fault: Spec, target: Resolved, context: Context) -> dict[str, Any]:
        """Record how it is. Raises ``UnavailableError`` as ``unsupported`` says."""
        assert isinstance(target, ResolvedInstance)
        return {"driver": target.driver, "act": fault.how, **self._image(fault, target, context)}

    def _image(self, fault: Spec, target: ResolvedInstance, context: Context) -> dict[str, Any]:
        if fault.how in _PARTS:
            return able(target, Machine).removing(target, context, _PARTS[fault.how], fault.device)
        if fault.how == "reset":
            return able(target, Machine).resetting(target)
        if fault.how == "pause":
            return able(target, Freezes).freezing(target)
        if fault.how == "terminate":
            return able(target, Replaced).terminating(target)
        return able(target, Ends).ending(target, context, by="murphy")

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:
        """Do it. Raises ``UnavailableError`` if the machine is gone or does not let it be done."""
        act = record["act"]
        if act == "stop":
            able(record, Ends).kill(record, "KILL")
        elif act == "pause":
            able(record, Freezes).freeze(record)
        elif act == "reset":
            able(record, Machine).reset(record)
        elif act == "terminate":
            able(record, Replaced).terminate(record)
        else:
            able(record, Machine).remove(record)
        self.renew(record, lease_s)
        return {"struck": True}

    def renew(self, record: Record, lease_s: float) -> None:
        """Push on the lease that another machine keeps. Raises as ``Leased`` does; the rest the watchdog ends."""
        if record["act"] in _ALSO:
            push_on(record, lease_s)

    def active(self, record: Record) -> bool | None:
        """Whether the machine is down, not replaced, stands still, or lacks the part; a reset is over at once."""
        act = record["act"]
        if act == "reset":
            return False
        if act == "stop":
            return able(record, Ends).down(record)
        if act == "terminate":
            return able(record, Replaced).unreplaced(record)
        return able(record, Freezes).frozen(record) if act == "pause" else able(record, Machine).removed(record)

    def struck(self, record: Record) -> bool:
        """Whether it was done: a reset as the machine said then, the rest as it is now."""
        if record["act"] == "reset":
            return bool(record.get("struck"))
        ends = record["act"] in ("stop", "terminate")
        ended = able(record, Ends).ended(record) if ends else self.active(record)
        return ended is not False

    def lasts(self, record: Record) -> bool:
        """One that stands still, or lacks a part, does so until it is given back; one that ended may be back before."""
        return record["act"] not in ("stop", "reset", "terminate")

    def revert(self, record: Record) -> None:
        """Start it, see it replaced, let it go on, or put the part back. Raises ``UnavailableError`` until then."""
        act = record["act"]
        if act == "stop":
            able(record, Ends).start(record)
        elif act == "pause":
            able(record, Freezes).thaw(record)
        elif act == "terminate":
            able(record, Replaced).await_replaced(record)
        elif act != "reset":
            able(record, Machine).put_back(record)
