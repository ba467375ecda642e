"""service.dependency_failure: one caller loses one dependency, the others keep it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from executor.faults.edges import EdgeFault

if TYPE_CHECKING:
    from executor.model.faults.service import DependencyFailure as Spec


class DependencyFailure(EdgeFault):
    """By the proxy on the one edge. ``refuse`` resets a connection once made: the proxy itself must listen."""

    kind = "service.dependency_failure"

    def wanted(self, fault: Spec) -> dict[str, Any]:
        """The fault as the proxy takes it."""
        modes: dict[str, dict[str, Any]] = {
            "refuse": {"kind": "refuse"},
            "blackhole": {"kind": "blackhole"},
            "error": {"kind": "error", "status": 503},
            "slow": {"kind": "delay", "delay_ms": fault.delay_ms},
        }
        return modes[fault.mode]
