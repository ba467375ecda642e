"""infrastructure.zone: the instances of a zone are gone, stand still, or are cut off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from executor.drivers.driver import Machine, unfit
from executor.drivers.targets import Resolved, ResolvedInstance
from executor.errors import UnavailableError
from executor.faults.behaviour import Context
from executor.faults.infrastructure.vm import Vm

if TYPE_CHECKING:
    from executor.model.faults.infrastructure import Zone as Spec


class Zone(Vm):
    """Each instance as its driver can; that they are lost together, the plan's actions say, and its blast radius."""

    kind = "infrastructure.zone"
    needs = ResolvedInstance

    def ways_lacking(self) -> dict[str, str]:
        """Nothing: no zone is terminated."""
        return {}

    def unsupported(self, fault: Spec, target: Resolved) -> str | None:  # type: ignore[override]
        """It must be in that zone, and its driver be able to do this."""
        assert isinstance(target, ResolvedInstance)
        if reason := _elsewhere(fault, target):
            return reason
        lacking = unfit(target, Machine) if fault.how == "isolate" else None
        return lacking or super().unsupported(fault, target)  # type: ignore[arg-type]

    def prepare(self, fault: Spec, target: Resolved, context: Context) -> dict[str, Any]:  # type: ignore[override]
        """Record how it is. Raises ``UnavailableError`` if it is in another zone, or as ``infrastructure.vm`` does."""
        assert isinstance(target, ResolvedInstance)
        if reason := _elsewhere(fault, target):
            raise UnavailableError(reason, where=target.instance)
        return super().prepare(fault, target, context)  # type: ignore[arg-type]


def _elsewhere(fault: Spec, target: ResolvedInstance) -> str | None:
    """That an instance is not in the zone meant, in one sentence."""
    own = next((each.zone for each in target.service.instances if each.id == target.instance), None)
    if own == fault.zone:
        return None
    return f"{target.instance} is in {f'zone {own}' if own else 'no known zone'}, not in {fault.zone}."
