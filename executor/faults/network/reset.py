"""network.reset: connections on the edge are cut with a TCP reset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from executor.faults.edges import EdgeFault

if TYPE_CHECKING:
    from executor.model.faults.network import Reset as Spec


class Reset(EdgeFault):
    """Strikes at the next request (HTTP) or at once (other protocols), or inside an answer."""

    kind = "network.reset"

    def wanted(self, fault: Spec) -> dict[str, Any]:
        """The fault as the proxy takes it."""
        return {"kind": "reset", "probability": fault.probability, "after_bytes": fault.after_bytes}
