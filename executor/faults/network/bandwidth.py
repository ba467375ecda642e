"""network.bandwidth: calls and answers pass at a bounded rate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from executor.faults.edges import EdgeFault

if TYPE_CHECKING:
    from executor.model.faults.network import Bandwidth as Spec


class Bandwidth(EdgeFault):
    """What waits goes on at once when the fault ends."""

    kind = "network.bandwidth"

    def wanted(self, fault: Spec) -> dict[str, Any]:
        """The fault as the proxy takes it."""
        return {
            "kind": "throttle",
            "way": fault.direction,
            "bytes_per_s": fault.rate_kbps * 125,
            "burst_bytes": fault.burst_bytes,
        }
