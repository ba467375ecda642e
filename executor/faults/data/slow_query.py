"""data.slow_query: each statement on an edge to PostgreSQL reaches it late."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from executor.drivers.targets import EdgeTargets, Resolved
from executor.faults.edges import EdgeFault

if TYPE_CHECKING:
    from executor.model.faults.data import SlowQuery as Spec


class SlowQuery(EdgeFault):
    """Logging in and preparing a statement are not late. A delayed statement goes on at once when the fault ends."""

    kind = "data.slow_query"

    def wanted(self, fault: Spec) -> dict[str, Any]:
        """The fault as the proxy takes it."""
        return {"kind": "delay_statement", "delay_ms": fault.delay_ms}

    def unsupported(self, fault: Spec, target: Resolved) -> str | None:
        """Every edge must lead to PostgreSQL, too."""
        assert isinstance(target, EdgeTargets)
        for edge in target.edges:
            if edge.protocol != "postgresql":
                return f"{edge.place} is not known to speak postgresql; say so in system.yaml, or take network.latency."
        return super().unsupported(fault, target)
