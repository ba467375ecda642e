"""Faults on a Kubernetes cluster and how they show: pods, nodes, workloads, services, secrets, policies.

The cluster is the simulated one (``kube_fake``), or a real API server (``tests/kubernetes``, ``make test-k8s``).
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

from executor.drivers.resolve import resolve
from executor.drivers.targets import PodTarget
from executor.model.faults import FaultSpec
from executor.model.faults.kubernetes import Endpoints, NetworkPolicy, Node, Scale, Secret
from executor.model.faults.service import Crash, Stop
from executor.model.plan import InstanceTarget
from executor.model.system import KubernetesInstance, Service, System
from tests.executor.faults.cases import Bench, Case
from tests.executor.faults.kube_fake import Cluster, Store, serve
from tests.executor.faults.kube_fake.chaos import ChaosMesh
from tests.executor.faults.kube_fake.cluster import is_ready
from tests.executor.faults.kube_fake.world import PASSWORD, REPLICAS, SPACE, admits, furnish
from tests.executor.kit import until

_OWN = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields")


class PodSubject:
    """The oldest pod of a deployment, and how one fault shows on the cluster."""

    def __init__(self, store: Objects, system: System, shows: Shows) -> None:
        self.store, self.system, self.shows = store, system, shows
        self.target = self.resolved()
        self.bystander = self.pods("other")[0]["metadata"]["uid"]

    def resolved(self) -> PodTarget:
        (self.target,) = resolve(InstanceTarget(service="web", ids=("web-1",)), self.system)  # type: ignore[assignment]
        return self.target

    def pods(self, app: str = "web") -> list[Any]:
        return [p for p in self.store.all("pods", SPACE) if p["metadata"]["labels"]["app"] == app and is_ready(p)]

    def there(self) -> bool:
        """Whether the very pod lives."""
        return any(pod["metadata"]["uid"] == self.target.uid for pod in self.pods())

    def on_node(self, app: str = "web") -> int:
        """Pods on the node on which the target was."""
        return sum(pod["spec"]["nodeName"] == self.target.node for pod in self.pods(app))

    def addresses(self, name: str = "web") -> int:
        subsets = self.store.get("endpoints", name, SPACE).get("subsets") or ()
        return sum(len(subset["addresses"]) for subset in subsets if subset["ports"][0]["port"] == 8000)

    def password(self, name: str = "login") -> str:
        return b64decode((self.store.get("secrets", name, SPACE).get("data") or {}).get("password", "")).decode()

    def node(self) -> Any:
        return self.store.get("nodes", self.target.node)["spec"]

    def reached(self, app: str = "web") -> int:
        """Pods that the cluster's policies let others call, judged as the documentation of policies says."""
        policies = self.store.all("networkpolicies", SPACE)
        return sum(admits(policies, pod) for pod in self.pods(app))

    def normal(self) -> bool:
        whole = len(self.pods()) == REPLICAS == self.addresses() == self.reached()
        return whole and not self.node().get("unschedulable") and self.password() == PASSWORD

    def faulted(self) -> bool:
        return self.shows.faulted(self)

    def size(self) -> str:
        return self.shows.size(self)

    def unharmed(self) -> bool:
        """Another service, on the same nodes, has its pod, its endpoint and its secret, and is let through."""
        until(lambda: len(self.pods("other")) == 1, what="the bystander has no ready pod")
        uid = self.pods("other")[0]["metadata"]["uid"]
        same = uid == self.bystander and self.addresses("other") == self.reached("other") == 1
        return same and self.password("other") == PASSWORD

    def state(self) -> Any:
        """All objects but for what differs between one pod and the next that does the same."""
        found: dict[str, Any] = {}
        for plural in (
            "deployments",
            "replicasets",
            "services",
            "secrets",
            "nodes",
            "networkpolicies",
            "poddisruptionbudgets",
        ):
            for each in self.store.all(plural):
                about = {k: v for k, v in each["metadata"].items() if k not in _OWN}
                found[f"{plural}/{about['name']}"] = {**each, "metadata": about, "status": None}
        for plural in self.shows.more:
            found[plural] = [each["metadata"]["name"] for each in self.store.all(plural)]
        for app in ("web", "other"):
            pods = [p for p in self.store.all("pods", SPACE) if p["metadata"]["labels"]["app"] == app]
            labels = [[p["metadata"]["labels"], p["metadata"].get("annotations")] for p in pods]
            found[f"pods of {app}"] = sorted(map(json.dumps, labels))
        return found

    def die(self) -> None:
        """The pod is gone by force, and its node with it: another takes its place."""
        for pod in self.store.all("pods", SPACE):
            if pod["metadata"]["uid"] == self.target.uid:
                self.store.remove("pods", pod)
        self.store.remove("nodes", self.store.get("nodes", self.target.node))
        self.store.create(
            "nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": self.target.node}, "spec": {}}
        )


class Shows:
    """How one fault shows, and how much of what was asked is seen."""

    def __init__(
        self, faulted: Callable[[PodSubject], bool], size: Callable[[PodSubject], str], more: tuple[str, ...] = ()
    ) -> None:
        self.faulted, self.size, self.more = faulted, size, more


class Objects(Protocol):
    """A cluster's objects, looked at past the driver that is tested."""

    def all(self, plural: str, namespace: str = "") -> list[Any]: ...

    def get(self, plural: str, name: str, namespace: str = "") -> Any: ...

    def create(self, plural: str, body: Any, namespace: str = "") -> Any: ...

    def remove(self, plural: str, found: Any) -> Any: ...


Ground = Callable[[], AbstractContextManager[tuple[Objects, dict[str, Any]]]]
"""Gives a furnished cluster's objects, and a kubeconfig for it."""


@contextmanager
def simulated() -> Iterator[tuple[Objects, dict[str, Any]]]:
    """A cluster of its own, which is simulated."""
    store = Store()
    furnish(store)
    with serve(store) as fake, Cluster(store, ends_s=0.1):
        yield store, fake.kubeconfig()


@contextmanager
def with_chaos_mesh() -> Iterator[tuple[Objects, dict[str, Any]]]:
    """A simulated cluster in which Chaos Mesh, simulated too, is installed."""
    store = Store()
    furnish(store)
    cluster = Cluster(store, ends_s=0.1)
    cluster.more.append(ChaosMesh(store))
    with serve(store) as fake, cluster:
        yield store, fake.kubeconfig()


def system_of(kubeconfig: Path) -> System:
    """The deployment's pods as instances."""
    where = {"kubeconfig": str(kubeconfig), "namespace": SPACE, "workload": "deployment/web"}
    pods = tuple(KubernetesInstance(id=f"web-{n + 1}", index=n, **where) for n in range(REPLICAS))
    return System(name="shop", services=(Service(name="web", instances=pods, restarts="supervised"),))


def case(ground: Ground, name: str, fault: FaultSpec, shows: Shows, *, stays: bool = True) -> Case:
    @contextmanager
    def opened(bench: Bench) -> Iterator[PodSubject]:
        with ground() as (store, settings):
            kubeconfig = bench.path / "kubeconfig.json"
            kubeconfig.touch(mode=0o600)
            kubeconfig.write_text(json.dumps(settings))
            until(lambda: sum(map(is_ready, store.all("pods", SPACE))) == REPLICAS + 1)
            until(lambda: len(store.all("endpoints", SPACE)) == 2)
            subject = PodSubject(store, system_of(kubeconfig), shows)
            until(subject.normal)
            yield subject

    return Case(f"{fault.model_dump()['kind']} {name}", fault, opened, stays=stays)


GONE = Shows(lambda s: not s.there(), lambda s: f"1 pod asked, {int(not s.there())} of {REPLICAS} gone for good")
FEWER = Shows(lambda s: len(s.pods()) == REPLICAS - 1, lambda s: f"1 replica asked, {REPLICAS - len(s.pods())} fewer")
CLOSED = Shows(lambda s: _closed(s) == 1, lambda s: f"1 node asked, {_closed(s)} of 2 closed")
DRAINED = Shows(
    lambda s: not s.on_node() and bool(s.node().get("unschedulable")),
    lambda s: f"all the service's pods there asked, {s.on_node()} left",
)
EMPTIED = Shows(lambda s: not s.there(), lambda s: f"the pods of one node asked, {int(not s.there())} of them gone")
NO_WAY = Shows(lambda s: s.addresses() == 0, lambda s: f"all endpoints asked, {s.addresses()} of {REPLICAS} left")
CUT_OFF = Shows(lambda s: s.reached() == REPLICAS - 1, lambda s: f"1 pod asked, {REPLICAS - s.reached()} cut off")
SWAPPED = Shows(lambda s: s.password() not in ("", PASSWORD), lambda s: f"1 key asked, {int(_wrong(s))} wrong")
MISSING = Shows(lambda s: s.password() == "", lambda s: f"1 key asked, {int(s.password() == '')} missing")


def _wrong(subject: PodSubject) -> bool:
    return len(subject.password()) == len(PASSWORD) and subject.password() != PASSWORD


def _closed(subject: PodSubject) -> int:
    specs = [node["spec"] for node in subject.store.all("nodes")]
    return sum(bool(spec.get("unschedulable") or spec.get("taints")) for spec in specs)


def _delayed(subject: PodSubject) -> list[str]:
    """Pods that Chaos Mesh resources in force delay."""
    there = [each for each in subject.store.all("networkchaos", SPACE) if each.get("status", {}).get("conditions")]
    return [pod for each in there for pod in each["spec"]["selector"]["pods"][SPACE]]


BY_CHAOS_MESH = Shows(
    lambda s: _delayed(s) == [s.target.pod],
    lambda s: f"1 pod asked, {len(_delayed(s))} chosen by the resource (Chaos Mesh is simulated)",
    more=("networkchaos",),
)


def cases(ground: Ground) -> dict[str, Case]:
    """Every fault on Kubernetes, by what it does."""
    login = {"secret": "login", "key": "password"}
    return {
        "crash": case(ground, "pod", Crash(), GONE, stays=False),
        "stop": case(ground, "pod", Stop(grace_s=1), GONE, stays=False),
        "scale": case(ground, "deployment", Scale(), FEWER),
        "cordon": case(ground, "cordoned", Node(how="cordon"), CLOSED),
        "drain": case(ground, "drained", Node(how="drain", grace_s=1), DRAINED),
        "taint": case(ground, "tainted", Node(how="taint"), CLOSED),
        "delete_pods": case(ground, "without its pods", Node(how="delete_pods", grace_s=1), EMPTIED, stays=False),
        "empty": case(ground, "empty", Endpoints(), NO_WAY),
        "wrong_port": case(ground, "at a wrong port", Endpoints(how="wrong_port"), NO_WAY),
        "policy": case(ground, "both ways", NetworkPolicy(), CUT_OFF),
        "wrong": case(ground, "wrong", Secret(**login), SWAPPED),
        "missing": case(ground, "missing", Secret(**login, how="missing"), MISSING),
    }
