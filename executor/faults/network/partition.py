"""network.partition: two groups of services cannot reach each other, or only one way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from executor.drivers.targets import EdgeTargets
from executor.faults.edges import EdgeFault

if TYPE_CHECKING:
    from executor.model.faults.network import Partition as Spec
    from executor.model.system import Dependency


class Partition(EdgeFault):
    """On every known edge between the groups; one way means the calls of ``a``, whose answers are lost with them."""

    kind = "network.partition"

    def wanted(self, fault: Spec) -> dict[str, Any]:
        """The fault as the proxy takes it."""
        return {"kind": "blackhole" if fault.how == "drop" else "refuse"}

    def meant(self, fault: Spec, target: EdgeTargets) -> tuple[Dependency, ...]:
        """The edges in the direction that is cut."""
        return tuple(edge for edge in target.edges if fault.direction == "both" or edge.caller in target.first)
