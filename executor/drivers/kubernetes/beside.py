"""Which pods share a node or a Secret with one, as the API server says. Standard library only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from executor.drivers.beside import Beside
from executor.drivers.kubernetes import workloads
from executor.drivers.kubernetes.api import Api, Json, connect
from executor.drivers.targets import PodTarget, ResolvedInstance
from executor.model.vocabulary import Scope


def beside(target: PodTarget, scope: Scope, fault: Any, others: Sequence[ResolvedInstance]) -> Beside:
    """Pods of the system that share it, and pods of others. Raises ``UnavailableError`` if the cluster does not answer.

    A pod of nobody that the target's own workload keeps, or that of another instance, is theirs; daemons stay.
    """
    same = [other for other in others if isinstance(other, PodTarget) and other.cluster == target.cluster]
    if scope in (Scope.TARGET, Scope.NETWORK):
        return Beside(frozenset(other.instance for other in same if other.uid == target.uid))
    if scope is Scope.MACHINE and target.node:
        api = connect(target.cluster)
        return _told(api, api.all("/api/v1/pods", fields=f"spec.nodeName={target.node}"), target, same)
    if scope is Scope.SETTINGS:
        api = connect(target.cluster)
        pods = api.all(workloads.pods_path(target.namespace))
        return _told(api, [pod for pod in pods if fault.secret in _secrets(pod["spec"])], target, same)
    return Beside()


def _told(api: Api, pods: Iterable[Json], target: PodTarget, same: Sequence[PodTarget]) -> Beside:
    known = {each.uid: each.instance for each in same} | {target.uid: target.instance}
    living = [pod for pod in pods if not workloads.going(pod) and not workloads.mirrors(pod)]
    whose = {pod["metadata"]["uid"]: workloads.keeper(api, pod) for pod in living}
    keepers = {keeper for uid, keeper in whose.items() if uid in known} - {None}
    keepers |= _keepers(api, [target, *same])
    strangers = [
        f"pod {pod['metadata']['namespace']}/{pod['metadata']['name']}"
        for pod in living
        if (keeper := whose[pod["metadata"]["uid"]]) not in keepers
        and pod["metadata"]["uid"] not in known
        and "/daemonsets/" not in (keeper or "")
    ]
    return Beside(frozenset(known[uid] for uid in whose if uid in known), tuple(sorted(strangers)))


def _keepers(api: Api, known: Sequence[PodTarget]) -> set[str | None]:
    """Workloads of which the system has an instance, on another node perhaps."""
    found = (api.find(workloads.pods_path(each.namespace, each.pod)) for each in known)
    return {workloads.keeper(api, pod) for pod in found if pod is not None} - {None}


def _secrets(part: Any) -> set[str]:
    """Names of the Secrets that a pod's specification speaks of, wherever in it."""
    if isinstance(part, list):
        return set().union(*map(_secrets, part))
    if not isinstance(part, dict):
        return set()
    named = {part["secretName"]} if isinstance(part.get("secretName"), str) else set()
    for key in ("secretKeyRef", "secretRef", "secret", "imagePullSecrets"):
        for each in part[key] if isinstance(part.get(key), list) else [part.get(key)]:
            if isinstance(each, dict) and isinstance(each.get("name"), str):
                named.add(each["name"])
    return named.union(*map(_secrets, part.values()))
