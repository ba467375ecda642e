"""infrastructure.node: a Kubernetes node takes no new pods, is drained or tainted, or loses its pods."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from executor.drivers.driver import driver
from executor.drivers.kubernetes import workloads
from executor.drivers.kubernetes.api import Api, Json, connect
from executor.drivers.kubernetes.driver import down, kept, look
from executor.drivers.targets import PodTarget, Resolved
from executor.errors import UnavailableError
from executor.faults.behaviour import Context, Record
from executor.faults.infrastructure.on_objects import OnObjects, change, label

if TYPE_CHECKING:
    from executor.model.faults.kubernetes import Node as Spec

_TAINT: Final = "murphy-chaos/fault"
_WITHIN_S = 14.0
"""For all pods to be evicted and gone; an injection is given up after 20 s."""
_BACK_S = 15.0


class Node(OnObjects):
    """The node of the target's pod. Undone when it takes pods again, and as many are ready as before."""

    kind = "infrastructure.node"

    def prepare(self, fault: Spec, target: Resolved, context: Context) -> dict[str, Any]:
        """Record the node and its pods. Raises ``UnavailableError`` if a protected service would lose one of them."""
        assert isinstance(target, PodTarget)
        record = super().prepare(fault, target, context)
        if fault.pods == "node" and record["gone"]:
            _refuse_protected(target, context)
        return record

    def look(self, api: Api, fault: Spec, target: PodTarget, mark: str) -> dict[str, Any]:
        """The node, what changes on it, and which pods go."""
        look(target)
        path = workloads.node_path(target.node)
        node = api.read(path)
        fields: list[dict[str, Any]] = []
        if fault.how in ("cordon", "drain"):
            if node["spec"].get("unschedulable"):
                raise UnavailableError("takes no new pods already.", where=target.node)
            fields = [{"at": ["spec", "unschedulable"], "was": None, "set": True}]
        elif fault.how == "taint":
            taint = {"key": _TAINT, "value": label(mark), "effect": fault.effect}
            if any(
                each["key"] == _TAINT and each["effect"] == fault.effect for each in node["spec"].get("taints") or ()
            ):
                raise UnavailableError("bears our taint already; recover undoes it.", where=target.node)
            fields = [{"at": ["spec", "taints"], "item": taint}]
        driven = fault.how == "taint" and fault.effect == "NoExecute"
        if driven and fault.pods != "node":
            raise UnavailableError("NoExecute drives all pods away; say so with pods: node.", where=target.node)
        pods = _meant(api, fault, target) if driven or fault.how in ("drain", "delete_pods") else []
        for space in {pod["metadata"]["namespace"] for pod in pods}:
            if fault.how == "drain":
                api.require("create", "pods/eviction", space)
            elif fault.how == "delete_pods":
                api.require("delete", "pods", space)
        return {
            "changes": [change(node, path, *fields)] if fields else [],
            "how": fault.how,
            "grace_s": fault.grace_s,
            "gone": [[pod["metadata"][part] for part in ("namespace", "name", "uid")] for pod in pods],
            "workloads": list({each["workload"]: each for each in (kept(api, pod) for pod in pods)}.values()),
        }

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:
        """Change the node, then have its pods end. Raises ``UnavailableError`` if a budget forbids it to the last."""
        super().inject(record, lease_s)
        api = connect(record["cluster"])
        deadline = time.monotonic() + _WITHIN_S
        for space, pod, uid in record["gone"]:
            if record["how"] == "drain":
                left_s = max(0.0, deadline - time.monotonic())
                workloads.evict(api, space, pod, uid, grace_s=record["grace_s"], within_s=left_s)
            elif record["how"] == "delete_pods" and workloads.exists(api, space, pod, uid):
                workloads.end(api, space, pod, uid, grace_s=record["grace_s"])
        if not workloads.wait(lambda: _gone(api, record), deadline - time.monotonic()):
            raise UnavailableError("pods were asked to end, and stay: does their node answer?")
        return {}

    def active(self, record: Record) -> bool | None:
        """Whether the node is changed, or fewer pods are ready than before."""
        changed = super().active(record)
        if changed is not False:
            return changed
        try:
            api = connect(record["cluster"])
            return any(down(api, each) for each in record["workloads"])
        except UnavailableError:
            return None

    def struck(self, record: Record) -> bool:
        """Whether the node is changed, or the pods that were to go are gone."""
        if not record["gone"]:
            return self.active(record) is not False
        try:
            return _gone(connect(record["cluster"]), record)
        except UnavailableError:
            return False

    def lasts(self, record: Record) -> bool:
        """A changed node is so until that is undone; pods that are gone come back."""
        return not record["gone"]

    def revert(self, record: Record) -> None:
        """The node as it was; then wait for the pods. Raises ``UnavailableError`` if some are not ready yet."""
        super().revert(record)
        api = connect(record["cluster"])
        if not workloads.wait(lambda: not any(down(api, each) for each in record["workloads"]), _BACK_S):
            raise UnavailableError("fewer pods are ready than before; their controllers make them.")


def _meant(api: Api, fault: Spec, target: PodTarget) -> list[Json]:
    """The pods that go: no daemons, which come back at once, and none that nobody would start again."""
    _, own = look(target)
    keeper = workloads.keeper(api, own)
    where = workloads.pods_path(target.namespace) if fault.pods == "service" else "/api/v1/pods"
    meant = []
    for pod in api.all(where, fields=f"spec.nodeName={target.node}"):
        keeps = workloads.keeper(api, pod)
        if workloads.going(pod) or workloads.mirrors(pod):
            continue
        if (fault.pods == "service" and keeps != keeper) or "/daemonsets/" in (keeps or ""):
            continue
        if keeps is None:
            name = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
            raise UnavailableError(f"{name} is a pod that nobody would start again.", where=target.node)
        meant.append(pod)
    return meant


def _gone(api: Api, record: Record) -> bool:
    return not any(workloads.exists(api, *each) for each in record["gone"])


def _refuse_protected(target: PodTarget, context: Context) -> None:
    for service in context.system.services:
        for instance in service.instances if service.protected else ():
            if instance.driver != target.driver:
                continue
            other = driver(instance.driver).find(service, instance)
            if isinstance(other, PodTarget) and (other.cluster, other.node) == (target.cluster, target.node):
                raise UnavailableError(f"{instance.id} of protected {service.name} is on it.", where=target.node)
