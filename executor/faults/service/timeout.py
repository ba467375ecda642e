"""service.timeout: requests on the edge are taken and never answered, or their answers stand still."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from executor.faults.edges import EdgeFault, matching

if TYPE_CHECKING:
    from executor.model.faults.service import Timeout as Spec


class Timeout(EdgeFault):
    """Whoever still waits when the fault ends is cut off, as by a proxy that gives up."""

    kind = "service.timeout"

    def wanted(self, fault: Spec) -> dict[str, Any]:
        """The fault as the proxy takes it."""
        return {"kind": "hang", "after_bytes": fault.after_bytes, **matching(fault)}
