"""infrastructure.scale: a workload has one replica fewer for each instance that is struck."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from executor.drivers.kubernetes import workloads
from executor.drivers.kubernetes.api import Api, Json
from executor.drivers.kubernetes.driver import look
from executor.drivers.targets import PodTarget
from executor.errors import UnavailableError
from executor.faults.infrastructure.on_objects import OnObjects, change

if TYPE_CHECKING:
    from executor.model.faults.kubernetes import Scale as Spec


class Scale(OnObjects):
    """The number is lowered, not set, so that faults on several instances of one workload stand beside each other."""

    kind = "infrastructure.scale"

    def look(self, api: Api, fault: Spec, target: PodTarget, mark: str) -> dict[str, Any]:  # noqa: ARG002 - the base's
        """Its workload must have a number of replicas that nobody else sets."""
        _, pod = look(target)
        path = workloads.keeper(api, pod)
        if path is None:
            raise UnavailableError("belongs to no workload that could be scaled.", where=target.pod)
        workload = api.read(path)
        if workloads.scaled(workload) is None:
            raise UnavailableError("is a daemon set: it has a pod on each node, and no replicas.", where=path)
        if owner := next((o for o in workload["metadata"].get("ownerReferences") or () if o.get("controller")), None):
            raise UnavailableError(f"is scaled by its {owner['kind']} {owner['name']}.", where=path)
        if scaler := _autoscaler(api, target.namespace, workload):
            raise UnavailableError(f"is scaled by the autoscaler {scaler}, which would undo it.", where=path)
        return {"changes": [change(workload, path, {"at": ["spec", "replicas"], "less": 1})]}


def _autoscaler(api: Api, namespace: str, workload: Json) -> str | None:
    """Name of the autoscaler that sets its replicas."""
    about = workload["metadata"]
    for each in api.all(f"/apis/autoscaling/v1/namespaces/{namespace}/horizontalpodautoscalers"):
        meant = each["spec"]["scaleTargetRef"]
        if (meant["kind"], meant["name"]) == (workload.get("kind"), about["name"]):
            return str(each["metadata"]["name"])
    return None
