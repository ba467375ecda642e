"""network.corruption: bits of calls and answers are flipped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from executor.faults.edges import EdgeFault

if TYPE_CHECKING:
    from executor.model.faults.network import Corruption as Spec


class Corruption(EdgeFault):
    """Strikes heads and bodies, of whatever protocol, on connections that stand as well as new ones."""

    kind = "network.corruption"

    def wanted(self, fault: Spec) -> dict[str, Any]:
        """The fault as the proxy takes it."""
        return {"kind": "corrupt", "way": fault.direction, "damage": fault.percent / 100}
