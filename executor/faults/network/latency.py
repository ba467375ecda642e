"""network.latency: each request, or burst of bytes, arrives late."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from executor.faults.edges import EdgeFault

if TYPE_CHECKING:
    from executor.model.faults.network import Latency as Spec


class Latency(EdgeFault):
    """A delayed request goes on at once when the fault ends."""

    kind = "network.latency"

    def wanted(self, fault: Spec) -> dict[str, Any]:
        """The fault as the proxy takes it."""
        spread = {"jitter_ms": fault.jitter_ms, "distribution": fault.distribution}
        return {"kind": "delay", "delay_ms": fault.delay_ms, **spread}
