"""Simulated controllers, scheduler and kubelets: what happens in a cluster without anybody asking for it."""

from __future__ import annotations

import copy
import itertools
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

from tests.executor.faults.kube_fake.selecting import chosen
from tests.executor.faults.kube_fake.store import Store, now

Json = dict[str, Any]
UNSCHEDULABLE = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}


class Cluster:
    """Brings a store's objects to what they ask for, again and again. ``starts_s``: until a new pod is ready."""

    def __init__(self, store: Store, *, starts_s: float = 0.0, ends_s: float = 0.0) -> None:
        self.store, self.starts_s, self.ends_s = store, starts_s, ends_s
        self.more: list[Callable[[], None]] = []
        self._addresses = itertools.count(10)
        self._since: dict[str, float] = {}
        self._waiting = True
        """Whether something happens in time though nobody changes anything."""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._go_on, daemon=True)

    def __enter__(self) -> Cluster:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _go_on(self) -> None:
        settled = -1
        while not self._ended.wait(0.02):
            with self.store.lock:
                if (version := self.store.version) != settled or self._waiting:
                    self.turn()
                    settled = version

    def turn(self) -> None:
        """One turn of every controller."""
        with self.store.lock:
            self._waiting = bool(self.more)
            for deployment in self.store.all("deployments"):
                self._deployment(deployment)
            for workload in self.store.all("replicasets"):
                self._replicas(workload, "replicasets")
            for workload in self.store.all("statefulsets"):
                self._replicas(workload, "statefulsets")
            for node in self.store.all("nodes"):
                self._node(node)
            for pod in self.store.all("pods"):
                self._pod(pod)
            for service in self.store.all("services"):
                self._endpoints(service)
            for budget in self.store.all("poddisruptionbudgets"):
                self._budget(budget)
            self._orphans()
            for each in self.more:
                each()

    def _deployment(self, deployment: Json) -> None:
        about, spec = deployment["metadata"], deployment["spec"]
        space = about["namespace"]
        name = f"{about['name']}-5d8f6c7b9d"
        found = self.store.find("replicasets", name, space)
        if found is None:
            template = copy.deepcopy(spec["template"])
            template["metadata"].setdefault("labels", {})["pod-template-hash"] = "5d8f6c7b9d"
            selector = {"matchLabels": template["metadata"]["labels"]}
            body = _kept(deployment, "Deployment", name) | {
                "apiVersion": "apps/v1",
                "kind": "ReplicaSet",
                "spec": {"replicas": spec.get("replicas", 1), "selector": selector, "template": template},
            }
            found = self.store.create("replicasets", body, space)
        elif found["spec"]["replicas"] != spec.get("replicas", 1):
            self.store.patch("replicasets", name, {"spec": {"replicas": spec.get("replicas", 1)}}, space)
        copied = about.get("annotations") or {}
        if not copied.items() <= (found["metadata"].get("annotations") or {}).items():  # and never taken away again
            self.store.patch("replicasets", name, {"metadata": {"annotations": copied}}, space)
        seen = {"observedGeneration": about["generation"]}
        self._status("deployments", deployment, found.get("status", {}) | seen)

    def _replicas(self, workload: Json, plural: str) -> None:
        about, spec = workload["metadata"], workload["spec"]
        space, wanted = about["namespace"], spec.get("replicas", 1)
        if "deletionTimestamp" in about:
            return
        owned = [pod for pod in self.store.all("pods", space) if _owns(workload, pod)]
        living = [pod for pod in owned if "deletionTimestamp" not in pod["metadata"]]
        if plural == "statefulsets":
            self._ordinals(workload, owned, wanted)
        else:
            for _ in range(wanted - len(living)):
                self._new_pod(workload, f"{about['name']}-{uuid.uuid4().hex[:5]}")
        surplus = sorted(
            living, key=lambda p: (not is_ready(p), p["metadata"]["creationTimestamp"], p["metadata"]["name"])
        )
        for pod in surplus[wanted:]:
            self.store.delete("pods", pod["metadata"]["name"], space)
        ready = sum(map(is_ready, living))
        self._status(plural, workload, {"replicas": len(living), "readyReplicas": ready, "availableReplicas": ready})

    def _ordinals(self, workload: Json, owned: list[Json], wanted: int) -> None:
        names = {pod["metadata"]["name"] for pod in owned}
        for number in range(wanted):
            name = f"{workload['metadata']['name']}-{number}"
            if name not in names:
                self._new_pod(workload, name, {"statefulset.kubernetes.io/pod-name": name})
                return

    def _new_pod(self, workload: Json, name: str, labels: Json | None = None) -> None:
        template = copy.deepcopy(workload["spec"]["template"])
        body = _kept(workload, workload["kind"], name) | {"apiVersion": "v1", "kind": "Pod", "spec": template["spec"]}
        about = template.get("metadata", {})
        body["metadata"]["labels"] = (about.get("labels") or {}) | (labels or {})
        body["status"] = {"phase": "Pending"}
        self.store.create("pods", body, workload["metadata"]["namespace"])

    def _node(self, node: Json) -> None:
        """The node lifecycle controller: a cordoned node is tainted, and a taint may drive pods away."""
        taints = node["spec"].get("taints") or []
        tainted = any(taint["key"] == UNSCHEDULABLE["key"] for taint in taints)
        if bool(node["spec"].get("unschedulable")) != tainted:
            others = [taint for taint in taints if taint["key"] != UNSCHEDULABLE["key"]]
            new = others if tainted else [*others, UNSCHEDULABLE]
            self.store.patch("nodes", node["metadata"]["name"], {"spec": {"taints": new or None}})
        for pod in self.store.all("pods"):
            driven = any(t["effect"] == "NoExecute" and not _tolerates(pod, t) for t in taints)
            there = pod["spec"].get("nodeName") == node["metadata"]["name"]
            if driven and there and "deletionTimestamp" not in pod["metadata"]:
                self.store.delete("pods", pod["metadata"]["name"], pod["metadata"]["namespace"])

    def _pod(self, pod: Json) -> None:
        """The scheduler, and the kubelet of its node."""
        about, space = pod["metadata"], pod["metadata"]["namespace"]
        begun = self._since.setdefault(about["uid"], time.monotonic())
        if not pod["spec"].get("nodeName"):
            if fit := [node for node in self.store.all("nodes") if _takes(node, pod)]:
                counts = [p["spec"].get("nodeName") for p in self.store.all("pods")]
                node = min(fit, key=lambda n: (counts.count(n["metadata"]["name"]), n["metadata"]["name"]))
                self.store.patch("pods", about["name"], {"spec": {"nodeName": node["metadata"]["name"]}}, space)
        elif "deletionTimestamp" in about:
            asked = self._since.setdefault(f"{about['uid']} ends", time.monotonic())
            grace = about.get("deletionGracePeriodSeconds") or 0
            if time.monotonic() - asked < min(grace, self.ends_s):
                self._waiting = True
            elif not about.get("finalizers"):
                self.store.remove("pods", pod)
        elif pod.get("status", {}).get("podIP"):
            return
        elif time.monotonic() - begun < self.starts_s:
            self._waiting = True
        else:
            conditions = [{"type": "Ready", "status": "True", "lastTransitionTime": now()}]
            status = {"phase": "Running", "podIP": f"10.1.0.{next(self._addresses) % 250}", "conditions": conditions}
            self.store.patch("pods", about["name"], {"status": status}, space, status=True)

    def _endpoints(self, service: Json) -> None:
        about, selector = service["metadata"], service["spec"].get("selector")
        space, name = about["namespace"], about["name"]
        if not selector:
            return
        labels = {"matchLabels": selector}
        ready = [pod for pod in self.store.all("pods", space) if chosen(pod, labels) and is_ready(pod)]
        addresses = [
            {"ip": pod["status"]["podIP"], "targetRef": {"kind": "Pod", "name": pod["metadata"]["name"]}}
            for pod in ready
        ]
        ports = [{"port": p.get("targetPort", p["port"]), "protocol": "TCP"} for p in service["spec"]["ports"]]
        subsets = [{"addresses": addresses, "ports": ports}] if addresses else []
        found = self.store.find("endpoints", name, space)
        if found is None:
            body = {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": name}, "subsets": subsets}
            self.store.create("endpoints", body, space)
        elif found.get("subsets") != subsets:
            self.store.patch("endpoints", name, {"subsets": subsets}, space)

    def _budget(self, budget: Json) -> None:
        space = budget["metadata"]["namespace"]
        pods = [pod for pod in self.store.all("pods", space) if chosen(pod, budget["spec"]["selector"])]
        healthy = sum(map(is_ready, pods))
        least = budget["spec"].get("minAvailable", max(0, len(pods) - budget["spec"].get("maxUnavailable", 1)))
        status = {"currentHealthy": healthy, "desiredHealthy": least, "disruptionsAllowed": max(0, healthy - least)}
        self._status("poddisruptionbudgets", budget, status)

    def _status(self, plural: str, found: Json, status: Json) -> None:
        if found.get("status") != status:
            about = found["metadata"]
            self.store.patch(plural, about["name"], {"status": status}, about["namespace"], status=True)

    def _orphans(self) -> None:
        uids = {each["metadata"]["uid"] for kind in list(self.store.objects) for each in self.store.all(kind)}
        for plural in ("replicasets", "pods"):
            for each in self.store.all(plural):
                about = each["metadata"]
                owners = about.get("ownerReferences") or ()
                if owners and all(o["uid"] not in uids for o in owners) and "deletionTimestamp" not in about:
                    self.store.delete(plural, about["name"], about["namespace"])


def is_ready(pod: Json) -> bool:
    conditions = pod.get("status", {}).get("conditions") or ()
    return "deletionTimestamp" not in pod["metadata"] and any(
        c["type"] == "Ready" and c["status"] == "True" for c in conditions
    )


def _kept(owner: Json, kind: str, name: str) -> Json:
    about = {"apiVersion": "apps/v1", "kind": kind, "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"]}
    return {"metadata": {"name": name, "ownerReferences": [about | {"controller": True, "blockOwnerDeletion": True}]}}


def _owns(owner: Json, pod: Json) -> bool:
    return any(o["uid"] == owner["metadata"]["uid"] for o in pod["metadata"].get("ownerReferences") or ())


def _takes(node: Json, pod: Json) -> bool:
    taints = node["spec"].get("taints") or ()
    return not node["spec"].get("unschedulable") and all(
        taint["effect"] == "PreferNoSchedule" or _tolerates(pod, taint) for taint in taints
    )


def _tolerates(pod: Json, taint: Json) -> bool:
    return any(
        each.get("key", taint["key"]) == taint["key"] and each.get("effect", taint["effect"]) in ("", taint["effect"])
        for each in pod["spec"].get("tolerations") or ()
    )
