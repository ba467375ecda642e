"""service.corrupt_response: answers on the edge arrive damaged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from executor.faults.edges import EdgeFault, matching

if TYPE_CHECKING:
    from executor.model.faults.service import CorruptResponse as Spec


class CorruptResponse(EdgeFault):
    """The callee does its work and answers well; the proxy damages what it passes."""

    kind = "service.corrupt_response"

    def wanted(self, fault: Spec) -> dict[str, Any]:
        """The fault as the proxy takes it."""
        return {"kind": fault.how, **matching(fault)}
