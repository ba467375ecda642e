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
        answer: dict[str, Any] = {"status": fault.status}
        if fault.grpc_status:
            answer = {"grpc_status": fault.grpc_status, "grpc_message": fault.grpc_message}
        return {"kind": "error", **answer, **matching(fault)}
