"""infrastructure.chaos_mesh: one of Murphy's faults is made in a pod by Chaos Mesh, and ended by it after a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from executor.drivers.kubernetes import chaos_mesh, workloads
from executor.drivers.kubernetes.api import AbsentError, Api, connect
from executor.drivers.kubernetes.driver import look
from executor.drivers.targets import PodTarget
from executor.errors import UnavailableError
from executor.faults.behaviour import LeaseKind, Record
from executor.faults.infrastructure.on_objects import OnObjects, making

if TYPE_CHECKING:
    from executor.model.faults.kubernetes import ChaosMesh as Spec

_BEGINS_S, _ENDS_S = 15.0, 15.0


class ChaosMesh(OnObjects):
    """One resource, which bears the mark as its name. Its ``duration`` is the lease that needs nobody of us."""

    kind = "infrastructure.chaos_mesh"
    lease: LeaseKind = "server"

    def look(self, api: Api, fault: Spec, target: PodTarget, mark: str) -> dict[str, Any]:
        """Chaos Mesh must be there and able to do it. Whether the resource is valid the server says (a dry run)."""
        look(target)
        instance = next(each for each in target.service.instances if each.id == target.instance)
        towards = dict(part.split("=", 1) for part in fault.towards.split(",")) if fault.towards else None
        where = chaos_mesh.Where(target.namespace, target.pod, fault.duration_s, instance.port, towards)
        body = chaos_mesh.compiled(fault.fault.model_dump(), where)
        path = chaos_mesh.path(body["kind"], target.namespace)
        try:
            api.all(path)
        except AbsentError:
            raise UnavailableError(
                "Chaos Mesh is not installed in the cluster.",
                where=api.where,
                hint="Install it, or choose another fault.",
            ) from None
        return {"made": [making(path, body, mark)]}

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:
        """Create it and see it in force. Raises ``UnavailableError`` if Chaos Mesh does not get so far."""
        super().inject(record, lease_s)
        if not workloads.wait(lambda: self._is(record, chaos_mesh.begun), _BEGINS_S):
            raise UnavailableError(
                "Chaos Mesh has taken the fault and not made it; see its events.", where=_place(record)
            )
        return {}

    def active(self, record: Record) -> bool | None:
        """Whether it is there and its duration has not passed."""
        try:
            found = connect(record["cluster"]).find(_place(record))
        except UnavailableError:
            return None
        return found is not None and not chaos_mesh.over(found)

    def revert(self, record: Record) -> None:
        """Delete it; it goes when everything is as before. Raises ``UnavailableError`` if it does not go."""
        super().revert(record)
        if not workloads.wait(lambda: not self._is(record, bool), _ENDS_S):
            raise UnavailableError("Chaos Mesh has not undone the fault yet; see its events.", where=_place(record))

    def _is(self, record: Record, what: Any) -> bool:
        found = connect(record["cluster"]).find(_place(record))
        return found is not None and bool(what(found))


def _place(record: Record) -> str:
    (made,) = record["made"]
    return f"{made['path']}/{made['body']['metadata']['name']}"
