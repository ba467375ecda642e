"""Pods of a cluster: which there are, who keeps them, how many are ready, how they end. Standard library only."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from executor.drivers.kubernetes.api import AbsentError, Api, BusyError, ConflictError, Json
from executor.errors import UnavailableError

_PATHS: Final = {
    "deployment": "/apis/apps/v1/namespaces/{}/deployments/{}",
    "replicaset": "/apis/apps/v1/namespaces/{}/replicasets/{}",
    "statefulset": "/apis/apps/v1/namespaces/{}/statefulsets/{}",
    "daemonset": "/apis/apps/v1/namespaces/{}/daemonsets/{}",
    "replicationcontroller": "/api/v1/namespaces/{}/replicationcontrollers/{}",
}
"""What keeps pods running for ever, and makes new ones for those that end."""
_LOOK_S = 0.1


def pods_path(namespace: str, pod: str = "") -> str:
    """Where a namespace's pods are, or one of them."""
    return f"/api/v1/namespaces/{namespace}/pods{'/' if pod else ''}{pod}"


def node_path(node: str) -> str:
    """Where a node is."""
    return f"/api/v1/nodes/{node}"


def workload_path(namespace: str, workload: str) -> str:
    """Where ``deployment/shop`` is. Raises ``UnavailableError`` for what is no workload."""
    kind, _, name = workload.partition("/")
    if kind.lower() not in _PATHS or not name:
        raise UnavailableError(f"is none of {', '.join(f'{kind}/NAME' for kind in _PATHS)}.", where=workload)
    return _PATHS[kind.lower()].format(namespace, name)


def keeper(api: Api, pod: Json) -> str | None:
    """Path of what makes a new pod when this one ends, the deployment rather than its replica set; ``None``: nobody."""
    found, path = pod, None
    while owner := _owner(found):
        kind = owner["kind"].lower()
        if kind not in _PATHS:
            return path
        path = _PATHS[kind].format(pod["metadata"]["namespace"], owner["name"])
        try:
            found = api.read(path)
        except AbsentError:
            return path
    return path


def _owner(found: Json) -> Json | None:
    owners: list[Json] = found["metadata"].get("ownerReferences") or []
    return next((owner for owner in owners if owner.get("controller")), None)


def going(pod: Json) -> bool:
    """Whether it ends."""
    return bool(pod["metadata"].get("deletionTimestamp")) or pod.get("status", {}).get("phase") in (
        "Succeeded",
        "Failed",
    )


def mirrors(pod: Json) -> bool:
    """Whether a node keeps it by itself: the API server only shows it."""
    return "kubernetes.io/config.mirror" in (pod["metadata"].get("annotations") or {})


def ready(pod: Json) -> bool:
    """Whether it runs, does not end, and says that it is ready."""
    conditions = pod.get("status", {}).get("conditions") or ()
    return not going(pod) and any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def in_order(pods: list[Json]) -> list[Json]:
    """Those that live, oldest first."""
    living = [pod for pod in pods if not going(pod)]
    return sorted(living, key=lambda pod: (pod["metadata"]["creationTimestamp"], pod["metadata"]["name"]))


def exists(api: Api, namespace: str, pod: str, uid: str) -> bool:
    """Whether the very pod is still there, ending or not."""
    found = api.find(pods_path(namespace, pod))
    return found is not None and found["metadata"]["uid"] == uid


def end(api: Api, namespace: str, pod: str, uid: str, *, grace_s: float) -> None:
    """Delete the very pod; at 0 s the API forgets it at once. Raises ``UnavailableError`` if it is gone."""
    try:
        if not exists(api, namespace, pod, uid):
            raise UnavailableError("is gone.", where=pod)
        api.delete(pods_path(namespace, pod), uid=uid, grace_s=math.ceil(grace_s))
    except ConflictError:
        raise UnavailableError("is gone, and another pod has its name.", where=pod) from None


def evict(api: Api, namespace: str, pod: str, uid: str, *, grace_s: float, within_s: float) -> None:
    """Evict it as a drain does, and ask again while a PodDisruptionBudget forbids it. One that is gone is evicted.

    Raises ``BusyError`` if that forbids it for ``within_s`` seconds.
    """
    options: Json = {"gracePeriodSeconds": math.ceil(grace_s), "preconditions": {"uid": uid}}
    body: Json = {"metadata": {"name": pod, "namespace": namespace}, "deleteOptions": options}
    deadline = time.monotonic() + within_s
    version = eviction_version(api)
    while exists(api, namespace, pod, uid):
        try:
            api.create(f"{pods_path(namespace, pod)}/eviction", {"apiVersion": version, "kind": "Eviction", **body})
        except (AbsentError, ConflictError):
            return
        except BusyError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(_LOOK_S * 5)
        else:
            return


def eviction_version(api: Api) -> str:
    """How the server calls evictions: ``policy/v1`` since 1.22. Raises ``UnavailableError`` if it knows none."""
    for resource in api.read("/api/v1").get("resources") or ():
        if resource["name"] == "pods/eviction":
            return f"{resource.get('group', 'policy')}/{resource.get('version', 'v1')}"
    raise UnavailableError("evicts no pods.", where=api.where)


def wait(what: Callable[[], bool], within_s: float) -> bool:
    """Whether it comes true in time."""
    deadline = time.monotonic() + within_s
    while not what():
        if time.monotonic() >= deadline:
            return False
        time.sleep(_LOOK_S)
    return True


def scaled(workload: Mapping[str, Any]) -> int | None:
    """How many pods a workload is to have; ``None`` for a daemon set, which has one on each node."""
    replicas = workload["spec"].get("replicas")
    return None if replicas is None else int(replicas)
