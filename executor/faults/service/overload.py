"""service.overload: a helper sends the instance requests, at a rate and a number under way that are capped."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from executor.drivers import local
from executor.drivers.targets import ProcessTarget, Resolved
from executor.faults import held
from executor.faults.behaviour import Context, LeaseKind, Record

if TYPE_CHECKING:
    from executor.model.faults.service import Overload as Spec


class Overload(held.Held):
    """The same request at a steady rate, whatever the answers; no more under way at once than asked."""

    kind = "service.overload"
    lease: LeaseKind = "parent_death"

    def unsupported(self, fault: Spec, target: Resolved) -> str | None:  # noqa: ARG002 - the protocol's
        """A port is needed."""
        assert isinstance(target, ProcessTarget)
        if target.port is None:
            return f"{target.instance} listens on no known port; name it in system.yaml."
        return None

    def prepare(self, fault: Spec, target: Resolved, context: Context) -> dict[str, Any]:
        """Record where and how much. Raises ``UnavailableError`` if the very process does not listen there."""
        assert isinstance(target, ProcessTarget)
        load = {name: getattr(fault, name) for name in type(fault).model_fields if name != "kind"}
        return {"address": local.address(target), "port": target.port, "load": load, **held.record(context)}

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:
        """Start the helper."""
        arguments = [record["address"], str(record["port"]), json.dumps(record["load"])]
        return held.start("executor.faults.service.traffic", arguments, record, lease_s)
