"""service.error: requests on the edge are answered with an error by the proxy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from executor.faults.edges import EdgeFault, matching

if TYPE_CHECKING:
    from executor.model.faults.service import Error as Spec


class Error(EdgeFault):
    """The callee never sees the request."""

    kind = "service.error"

    def wanted(self, fault: Spec) -> dict[str, Any]:
        """The fault as the proxy takes it."""
        return {"kind": "error", "status": fault.status, **matching(fault)}
