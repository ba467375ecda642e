"""infrastructure.network_policy: a pod is cut off by a NetworkPolicy that chooses it alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from executor.drivers.kubernetes import workloads
from executor.drivers.kubernetes.api import Api, Json, selector_text
from executor.drivers.kubernetes.driver import look
from executor.drivers.targets import PodTarget
from executor.errors import UnavailableError
from executor.faults.infrastructure.on_objects import OnObjects, change, label, making

if TYPE_CHECKING:
    from executor.model.faults.kubernetes import NetworkPolicy as Spec

_CUT_OFF: Final = "murphy-chaos/cut-off"
"""Label by which the policy chooses the pod; it goes when the pod goes."""
_TYPES: Final = {"ingress": ["Ingress"], "egress": ["Egress"], "both": ["Ingress", "Egress"]}


class NetworkPolicy(OnObjects):
    """A policy without rules, and a label on the pod."""

    kind = "infrastructure.network_policy"

    def look(self, api: Api, fault: Spec, target: PodTarget, mark: str) -> dict[str, Any]:
        """No other policy may let through what this one is to drop: they only ever add to each other."""
        _, pod = look(target)
        policies = f"/apis/networking.k8s.io/v1/namespaces/{target.namespace}/networkpolicies"
        types = _TYPES[fault.direction]
        for each in api.all(policies):
            if any(each["spec"].get(kind.lower()) for kind in types) and _chooses(api, each, target):
                name = each["metadata"]["name"]
                raise UnavailableError(
                    f"the policy {name} lets traffic through, and policies add up.", where=target.pod
                )
        name = label(mark)
        spec = {"podSelector": {"matchLabels": {_CUT_OFF: name}}, "policyTypes": types}
        body = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "spec": spec}
        labelled = {"at": ["metadata", "labels", _CUT_OFF], "was": None, "set": name}
        path = workloads.pods_path(target.namespace, target.pod)
        return {"changes": [change(pod, path, labelled)], "made": [making(policies, body, mark)]}


def _chooses(api: Api, policy: Json, target: PodTarget) -> bool:
    labels = selector_text(policy["spec"].get("podSelector") or {})
    pods = api.all(workloads.pods_path(target.namespace), labels=labels, fields=f"metadata.name={target.pod}")
    return bool(pods)
