"""infrastructure.endpoints: a Kubernetes Service leads to no pod, or to a port where nobody listens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from executor.drivers.kubernetes import workloads
from executor.drivers.kubernetes.api import Api, Json, selector_text
from executor.drivers.kubernetes.driver import look
from executor.drivers.targets import PodTarget
from executor.errors import UnavailableError
from executor.faults.infrastructure.on_objects import OnObjects, change, label

if TYPE_CHECKING:
    from executor.model.faults.kubernetes import Endpoints as Spec

_NOWHERE: Final = "murphy-chaos/nowhere"
"""Label that no pod has."""
_CLOSED: Final = 1
"""Port on which nobody listens (tcpmux)."""


class Endpoints(OnObjects):
    """The Service is changed, and its endpoints follow by the cluster's controllers, which would undo the reverse."""

    kind = "infrastructure.endpoints"

    def look(self, api: Api, fault: Spec, target: PodTarget, mark: str) -> dict[str, Any]:
        """The Service, which must choose its pods by labels."""
        look(target)
        service = _service(api, fault, target)
        path = f"{_path(target)}/{service['metadata']['name']}"
        if fault.how == "empty":
            return {
                "changes": [
                    change(service, path, {"at": ["spec", "selector", _NOWHERE], "was": None, "set": label(mark)})
                ]
            }
        ports = service["spec"]["ports"]
        wrong = [{**port, "targetPort": _CLOSED} for port in ports]
        return {"changes": [change(service, path, {"at": ["spec", "ports"], "was": ports, "set": wrong})]}


def _path(target: PodTarget) -> str:
    return f"/api/v1/namespaces/{target.namespace}/services"


def _service(api: Api, fault: Spec, target: PodTarget) -> Json:
    """The one that is named, or the only one that leads to the pod."""
    if fault.service:
        found = api.find(f"{_path(target)}/{fault.service}")
        if found is None or not _leads(api, found, target):
            raise UnavailableError(f"does not lead to {target.pod} by its labels.", where=fault.service)
        return found
    leading = [each for each in api.all(_path(target)) if _leads(api, each, target)]
    if len(leading) != 1:
        names = ", ".join(each["metadata"]["name"] for each in leading) or "none"
        raise UnavailableError(f"of Kubernetes Services lead there: {names}; name one (service).", where=target.pod)
    return leading[0]


def _leads(api: Api, service: Json, target: PodTarget) -> bool:
    selector = service["spec"].get("selector")
    if not selector:
        return False
    labels = selector_text({"matchLabels": selector})
    named = f"metadata.name={target.pod}"
    return bool(api.all(workloads.pods_path(target.namespace), labels=labels, fields=named))
