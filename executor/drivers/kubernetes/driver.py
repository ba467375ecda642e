"""The driver of pods in a Kubernetes cluster: they are deleted, and their controllers make new ones.

Standard library only at import time; the official client is loaded when a cluster is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from executor.drivers.beside import Beside
from executor.drivers.driver import Record, RestartBy
from executor.drivers.kubernetes import workloads
from executor.drivers.kubernetes.api import Api, Json, connect, selector_text
from executor.drivers.kubernetes.beside import beside
from executor.drivers.targets import PodTarget, ResolvedInstance
from executor.errors import UnavailableError

if TYPE_CHECKING:
    from executor.faults.behaviour import Context
    from executor.model.system import KubernetesInstance, Service
    from executor.model.vocabulary import Scope

_STAYS_S = 5.0
"""Beyond its grace time, until a pod that was asked to end counts as one that stays."""
_BACK_S = 15.0


class Kubernetes:
    """One pod is one instance: the n-th oldest of those that a workload or a selector names."""

    name = "kubernetes"
    noun = "a pod"

    def find(self, service: Service, instance: KubernetesInstance) -> PodTarget:
        """The pod it means right now. Raises ``UnavailableError`` if there is none, or the cluster does not answer."""
        cluster = {"kubeconfig": instance.kubeconfig, "context": instance.context}
        api = connect(cluster)
        found = _chosen(api, instance)
        about = found["metadata"]
        return PodTarget(
            service,
            instance.id,
            **cluster,
            namespace=instance.namespace,
            pod=about["name"],
            uid=about["uid"],
            node=found["spec"].get("nodeName", ""),
        )

    def beside(self, target: PodTarget, scope: Scope, fault: Any, others: Sequence[ResolvedInstance]) -> Beside:
        """As the API server says. Raises ``UnavailableError`` if it does not answer."""
        return beside(target, scope, fault, others)

    def unendable(self, target: PodTarget) -> str | None:
        """Somebody must make a new one: a deployment, a stateful set, a daemon set."""
        try:
            api, pod = look(target)
            kept = workloads.keeper(api, pod)
        except UnavailableError as error:
            return str(error)
        if kept is None:
            return f"{target.pod} is a pod that nobody would start again; strike one that a deployment keeps."
        return None

    def ending(self, target: PodTarget, context: Context, *, by: RestartBy, grace_s: float = 0.0) -> dict[str, Any]:
        """Which pod, and how many ready ones its workload has. Raises ``UnavailableError`` if it may not be deleted."""
        del context
        if by == "murphy":
            raise UnavailableError(
                "its controller makes a new pod at once, and is not held up.",
                where=target.pod,
                hint="Choose restart: supervisor, or infrastructure.scale, which keeps it away.",
            )
        api, pod = look(target)
        path = workloads.keeper(api, pod)
        if path is None:
            raise UnavailableError("is a pod that nobody would start again.", where=target.pod)
        api.require("delete", "pods", target.namespace)
        return {
            "instance": target.instance,
            "cluster": target.cluster,
            "pod": target.pod,
            "uid": target.uid,
            "kill_grace_s": 1.0 if "/statefulsets/" in path else 0.0,  # its pods must never run twice
            "grace_s": grace_s,
            **kept(api, pod),
        }

    def kill(self, record: Record, signal: str) -> None:
        """Delete it without grace; a stateful set's within a second. Raises ``UnavailableError`` if it is gone."""
        if signal != "KILL":
            raise UnavailableError(f"a pod is not sent SIG{signal}; choose KILL.", where=record["instance"])
        self._end(record, record["kill_grace_s"])

    def stop(self, record: Record) -> None:
        """Delete it; the kubelet asks it to end, and ends it after the grace time. Raises as ``kill`` does."""
        self._end(record, record["grace_s"])

    def _end(self, record: Record, grace_s: float) -> None:
        api = connect(record["cluster"])
        workloads.end(api, record["namespace"], record["pod"], record["uid"], grace_s=grace_s)
        if not workloads.wait(lambda: not _there(api, record), grace_s + _STAYS_S):
            raise UnavailableError("was asked to end, and stays: does its node answer?", where=record["pod"])

    def ended(self, record: Record) -> bool | None:
        """Whether the very pod is gone; ``None`` if the cluster does not answer."""
        try:
            return not _there(connect(record["cluster"]), record)
        except UnavailableError:
            return None

    def down(self, record: Record) -> bool | None:
        """Whether it is about to end, or fewer pods are ready than then (and still wanted)."""
        try:
            return _down(connect(record["cluster"]), record)
        except UnavailableError:
            return None

    def start(self, record: Record) -> None:
        """Wait for its controller. Raises ``UnavailableError`` if no new pod is ready yet."""
        api = connect(record["cluster"])
        if not workloads.wait(lambda: not _down(api, record), _BACK_S):
            raise UnavailableError("has fewer ready pods than before.", where=record["workload"])


def look(target: PodTarget) -> tuple[Api, Json]:
    """The cluster, and the very pod in it. Raises ``UnavailableError`` if it is gone or ends."""
    api = connect(target.cluster)
    pod = api.find(workloads.pods_path(target.namespace, target.pod))
    if pod is None or pod["metadata"]["uid"] != target.uid or workloads.going(pod):
        raise UnavailableError("is gone.", where=target.pod)
    return api, pod


def _chosen(api: Api, instance: KubernetesInstance) -> Json:
    where = f"{instance.namespace}/{instance.pod or instance.workload or instance.selector}"
    pods = workloads.pods_path(instance.namespace)
    if instance.pod:
        found = api.find(workloads.pods_path(instance.namespace, instance.pod))
        if found is None or workloads.going(found):
            raise UnavailableError("there is no such pod.", where=where)
        return found
    labels = instance.selector
    if instance.workload:
        workload = api.find(workloads.workload_path(instance.namespace, instance.workload))
        if workload is None:
            raise UnavailableError("there is no such workload.", where=where)
        labels = _selector(workload)
    living = workloads.in_order(api.all(pods, labels=labels))
    if instance.index >= len(living):
        raise UnavailableError(f"has {len(living)} pods, and number {instance.index} is asked for.", where=where)
    return living[instance.index]


def _selector(workload: Json) -> str:
    selector = workload["spec"]["selector"]
    return selector_text(selector if "kind" in workload and "matchLabels" in selector else {"matchLabels": selector})


def _there(api: Api, record: Record) -> bool:
    return workloads.exists(api, record["namespace"], record["pod"], record["uid"])


def _ready(api: Api, namespace: str, labels: str) -> int:
    return sum(map(workloads.ready, api.all(workloads.pods_path(namespace), labels=labels)))


def _down(api: Api, record: Record) -> bool:
    pod = api.find(workloads.pods_path(record["namespace"], record["pod"]))
    ends = pod is not None and pod["metadata"]["uid"] == record["uid"] and workloads.going(pod)
    return ends or down(api, record)


def kept(api: Api, pod: Json) -> dict[str, Any]:
    """The workload that keeps a pod, and how many ready pods it has, for ``down``."""
    path, space = workloads.keeper(api, pod), pod["metadata"]["namespace"]
    if path is None:
        raise UnavailableError("is a pod that nobody would start again.", where=pod["metadata"]["name"])
    labels = _selector(api.read(path))
    return {"namespace": space, "workload": path, "labels": labels, "ready": _ready(api, space, labels)}


def down(api: Api, record: Record) -> bool:
    """Whether fewer pods are ready than then; a workload that is gone, or is to have fewer by now, gets none back."""
    workload = api.find(record["workload"])
    if workload is None or workload["metadata"].get("deletionTimestamp"):
        return False
    wanted = workloads.scaled(workload)
    least = record["ready"] if wanted is None else min(record["ready"], wanted)
    return bool(_ready(api, record["namespace"], record["labels"]) < least)


DRIVER = Kubernetes()
