"""What the contract suite does not show of faults on Kubernetes, and that the simulated cluster answers as a real one.

Run by ``make test-k8s``, all but what says SIMULATED is asked of a real API server.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from executor.drivers.kubernetes import workloads
from executor.drivers.kubernetes.api import Api, BusyError, ConflictError, RefusedError, connect
from executor.drivers.kubernetes.driver import DRIVER
from executor.drivers.resolve import resolve
from executor.drivers.targets import PodTarget
from executor.errors import UnavailableError
from executor.faults.behaviour import Context, why_not
from executor.faults.registry import behaviour
from executor.model.faults import FaultSpec
from executor.model.faults.kubernetes import Endpoints, NetworkPolicy, Node, Scale, Secret
from executor.model.faults.service import Crash, Stop
from executor.model.plan import InstanceTarget
from executor.model.system import KubernetesInstance, Service, System
from executor.undo.cluster import sweep_cluster
from tests.executor.faults.cases import OTHERS
from tests.executor.faults.kube_fake import Cluster, Store, serve
from tests.executor.faults.kube_fake.cluster import is_ready
from tests.executor.faults.kube_fake.server import Fake, Trouble
from tests.executor.faults.kube_fake.world import PASSWORD, REPLICAS, SPACE, furnish, manifests
from tests.executor.faults.kube_kit import Objects, simulated, system_of
from tests.executor.kit import until

WEB = f"/apis/apps/v1/namespaces/{SPACE}/deployments/web"
PODS = f"/api/v1/namespaces/{SPACE}/pods"
LOGIN = f"/api/v1/namespaces/{SPACE}/secrets/login"
VERSION = "1.30"
SWAP = Secret(secret="login", key="password")


class Ground:
    """A cluster, looked at past the driver, and the driver's own way to it."""

    def __init__(self, store: Objects, settings: dict[str, Any], path: Path) -> None:
        self.store, self.path = store, path
        file = path / "kubeconfig.json"
        file.touch(mode=0o600)
        file.write_text(json.dumps(settings))
        self.system = system_of(file)
        self.api = connect({"kubeconfig": str(file)})
        until(lambda: self.ready() == REPLICAS)

    def ready(self) -> int:
        return sum(is_ready(p) for p in self.store.all("pods", SPACE) if p["metadata"]["labels"]["app"] == "web")

    def target(self, number: int = 1) -> PodTarget:
        (found,) = resolve(InstanceTarget(service="web", ids=(f"web-{number}",)), self.system)
        assert isinstance(found, PodTarget)
        return found

    def begin(self, fault: FaultSpec, number: int = 1, mark: str = "murphy-test-1") -> dict[str, Any]:
        """The record of a fault that was made."""
        how = behaviour(fault.model_dump()["kind"])
        record = how.prepare(fault, self.target(number), Context(self.system, mark, str(self.path)))
        record = json.loads(json.dumps(record))
        return record | how.inject(record, 60)

    def replicas(self) -> int:
        return int(self.api.read(WEB)["spec"]["replicas"])


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    if "kubernetes" in os.environ.get(OTHERS, ""):
        from tests.kubernetes.cluster import real

        with real() as (store, settings):
            yield Ground(store, settings, tmp_path)
    else:
        with simulated() as (store, settings):
            yield Ground(store, settings, tmp_path)


@contextmanager
def broken(path: Path) -> Iterator[tuple[Ground, Fake]]:
    """A SIMULATED cluster that can be told to answer wrongly."""
    store = Store()
    furnish(store)
    with serve(store) as fake, Cluster(store):
        yield Ground(store, fake.kubeconfig(), path), fake


# The API, as the driver needs it.


def test_a_watch_by_the_official_client(ground: Ground) -> None:
    from kubernetes import client, config, watch

    with config.new_client_from_config(str(ground.path / "kubeconfig.json")) as session:
        core = client.CoreV1Api(session)
        listed = core.list_namespaced_pod(SPACE, label_selector="app=web")
        victim = listed.items[0].metadata.name
        core.delete_namespaced_pod(victim, SPACE, grace_period_seconds=0)
        seen = set()
        since = listed.metadata.resource_version
        for event in watch.Watch().stream(
            core.list_namespaced_pod, SPACE, label_selector="app=web", resource_version=since, timeout_seconds=20
        ):
            seen.add((event["type"], event["object"].metadata.name == victim))
            if {("DELETED", True), ("ADDED", False)} <= seen:
                break
        assert {("DELETED", True), ("ADDED", False)} <= seen


def test_an_old_version_is_refused_and_a_change_is_tried_again(ground: Ground) -> None:
    looked = 0

    def edit(found: dict[str, Any]) -> dict[str, Any]:
        nonlocal looked
        looked += 1
        if looked == 1:  # somebody else is quicker
            ground.api.change(LOGIN, lambda _: {"metadata": {"labels": {"theirs": "1"}}})
        return {"metadata": {"labels": {"ours": "1"}}}

    changed = ground.api.change(LOGIN, edit)
    assert looked == 2
    assert changed["metadata"]["labels"] == {"theirs": "1", "ours": "1"}


def test_a_dry_run_changes_nothing(ground: Ground) -> None:
    before = ground.api.read(WEB)["spec"]
    asked = ground.api.change(WEB, lambda _: {"spec": {"replicas": 7}}, dry=True)
    assert asked["spec"]["replicas"] == 7
    assert ground.api.read(WEB)["spec"] == before
    with pytest.raises(RefusedError) as refused:
        ground.api.change(WEB, lambda _: {"spec": {"replicas": -1}}, dry=True)
    assert refused.value.status == 422


def test_what_has_a_finalizer_stays_until_that_is_gone(ground: Ground) -> None:
    space, _, _ = LOGIN.rpartition("/")
    about = {"name": "held", "finalizers": ["murphy.test/held"]}
    ground.api.create(space, {"apiVersion": "v1", "kind": "Secret", "metadata": about})
    with pytest.raises(ConflictError):
        ground.api.create(space, {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "held"}})
    ground.api.delete(f"{space}/held")
    assert ground.api.read(f"{space}/held")["metadata"]["deletionTimestamp"]
    ground.api.change(f"{space}/held", lambda _: {"metadata": {"finalizers": None}})
    assert ground.api.find(f"{space}/held") is None
    ground.api.delete(f"{space}/held")


def test_only_the_very_pod_is_deleted(ground: Ground) -> None:
    target = ground.target()
    with pytest.raises(UnavailableError):
        workloads.end(ground.api, SPACE, target.pod, "another-uid", grace_s=0)
    with pytest.raises(ConflictError):
        ground.api.delete(f"{PODS}/{target.pod}", uid="another-uid", grace_s=0)
    assert workloads.exists(ground.api, SPACE, target.pod, target.uid)


def test_an_eviction_that_a_budget_forbids_is_tried_again(ground: Ground) -> None:
    target = ground.target()
    budget = _budget(ground.api)
    ground.api.change(budget, lambda _: {"spec": {"maxUnavailable": 0}})
    until(lambda: ground.api.read(budget)["status"]["disruptionsAllowed"] == 0)
    with pytest.raises(BusyError):
        workloads.evict(ground.api, SPACE, target.pod, target.uid, grace_s=0, within_s=0)
    later = threading.Timer(0.3, lambda: ground.api.change(budget, lambda _: {"spec": {"maxUnavailable": 1}}))
    later.start()
    workloads.evict(ground.api, SPACE, target.pod, target.uid, grace_s=0, within_s=20)
    later.join()
    until(lambda: not workloads.exists(ground.api, SPACE, target.pod, target.uid))


def _budget(api: Api) -> str:
    for version in ("v1", "v1beta1"):
        path = f"/apis/policy/{version}/namespaces/{SPACE}/poddisruptionbudgets/web"
        if api.find(path):
            return path
    raise AssertionError


# What others do meanwhile.


def test_what_somebody_else_has_scaled_is_left(ground: Ground, caplog: pytest.LogCaptureFixture) -> None:
    record = ground.begin(Scale())
    assert ground.replicas() == REPLICAS - 1
    ground.api.change(WEB, lambda _: {"spec": {"replicas": 4}})
    with caplog.at_level(logging.WARNING):
        behaviour("infrastructure.scale").revert(record)
    assert ground.replicas() == 4
    assert "spec.replicas was changed by somebody else" in caplog.text
    assert behaviour("infrastructure.scale").active(record) is False


@pytest.mark.parametrize("first", [0, 1])
def test_faults_on_two_pods_of_one_deployment_stand_beside_each_other(ground: Ground, first: int) -> None:
    how = behaviour("infrastructure.scale")
    records = [ground.begin(Scale(), number, f"murphy-test-{number}") for number in (1, 2)]
    assert ground.replicas() == REPLICAS - 2
    how.revert(records[first])
    assert ground.replicas() == REPLICAS - 1
    assert [how.active(record) for record in records] == [first != 0, first != 1]
    how.revert(records[1 - first])
    assert ground.replicas() == REPLICAS
    assert "annotations" not in ground.api.read(WEB)["metadata"] or not any(
        name.startswith("murphy") for name in ground.api.read(WEB)["metadata"]["annotations"]
    )


def test_one_field_is_held_by_one_fault(ground: Ground) -> None:
    record = ground.begin(Endpoints())
    with pytest.raises(UnavailableError):
        ground.begin(Endpoints(service="web"), mark="murphy-test-2")
    behaviour("infrastructure.endpoints").revert(record)
    record = ground.begin(SWAP)
    assert "holds it already" in _why(SWAP, ground)
    behaviour("infrastructure.secret").revert(record)


def test_a_secret_that_was_changed_meanwhile_is_left(ground: Ground, caplog: pytest.LogCaptureFixture) -> None:
    how = behaviour("infrastructure.secret")
    record = ground.begin(SWAP)
    ground.api.change(LOGIN, lambda _: {"data": {"password": "cm90YXRlZA=="}})
    with caplog.at_level(logging.WARNING):
        how.revert(record)
    assert ground.api.read(LOGIN)["data"]["password"] == "cm90YXRlZA=="
    assert "changed by somebody else" in caplog.text
    assert how.active(record) is False


def test_a_secret_whose_copy_is_gone_is_owed(ground: Ground) -> None:
    how = behaviour("infrastructure.secret")
    record = ground.begin(SWAP)
    ground.api.delete(record["copy"])
    with pytest.raises(UnavailableError, match="copy of the right one is gone"):
        how.revert(record)
    assert how.active(record) is True


def test_a_secret_is_told_by_nobody(ground: Ground) -> None:
    record = ground.begin(SWAP)
    assert PASSWORD not in json.dumps(record)
    assert "password" in ground.api.read(record["copy"])["data"]
    behaviour("infrastructure.secret").revert(record)
    assert ground.api.find(record["copy"]) is None


def test_a_cluster_is_swept_by_what_its_objects_say(ground: Ground) -> None:
    faults = (Scale(), Node(how="cordon"), Endpoints(), NetworkPolicy(), SWAP)
    records = [ground.begin(fault, mark=f"murphy-test-{number}") for number, fault in enumerate(faults)]
    done = sweep_cluster(str(ground.path / "kubeconfig.json"))
    assert [each.outcome for each in done] == ["done"] * 6, done  # a policy is two things: a label, and itself
    for fault, record in zip(faults, records, strict=True):
        assert behaviour(fault.model_dump()["kind"]).active(record) is False, fault
    assert ground.replicas() == REPLICAS
    assert b64decode(ground.api.read(LOGIN)["data"]["password"]).decode() == PASSWORD
    assert sweep_cluster(str(ground.path / "kubeconfig.json")) == []


def test_a_stateful_pod_is_never_there_twice(ground: Ground) -> None:
    sets = f"/apis/apps/v1/namespaces/{SPACE}/statefulsets"
    template = {
        "metadata": {"labels": {"app": "db"}},
        "spec": {"containers": [{"name": "db", "image": "example/db:1"}]},
    }
    spec = {"replicas": 1, "serviceName": "db", "selector": {"matchLabels": {"app": "db"}}, "template": template}
    ground.api.create(sets, {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db"}, "spec": spec})
    until(lambda: (pod := ground.api.find(f"{PODS}/db-0")) and is_ready(pod))
    where = ground.system.services[0].instances[0].model_dump() | {"id": "db-1", "workload": "", "pod": "db-0"}
    service = Service(name="db", instances=(KubernetesInstance(**where),))
    target = DRIVER.find(service, service.instances[0])  # type: ignore[arg-type]
    how = behaviour("service.crash")
    record = how.prepare(Crash(), target, Context(ground.system, "murphy-test-1", str(ground.path)))
    assert record["kill_grace_s"] > 0, "the API would forget it while it may still run"
    record |= how.inject(record, 60)
    how.revert(record)
    assert how.active(record) is False
    found = ground.api.read(f"{PODS}/db-0")
    assert is_ready(found)
    assert found["metadata"]["uid"] != target.uid
    ground.api.delete(f"{sets}/db")


# What is refused.


def test_what_others_scale_or_let_through_is_refused(ground: Ground) -> None:
    about = {"metadata": {"name": "web"}}
    meant = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    scalers = f"/apis/autoscaling/v1/namespaces/{SPACE}/horizontalpodautoscalers"
    body = {"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", **about}
    ground.api.create(scalers, {**body, "spec": {"maxReplicas": 5, "scaleTargetRef": meant}})
    assert "autoscaler web" in _why(Scale(), ground)
    ground.api.delete(f"{scalers}/web")
    policies = f"/apis/networking.k8s.io/v1/namespaces/{SPACE}/networkpolicies"
    spec = {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{}]}
    body = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", **about, "spec": spec}
    ground.api.create(policies, body)
    assert "policies add up" in _why(NetworkPolicy(), ground)
    assert not _why(NetworkPolicy(direction="egress"), ground)
    ground.api.delete(f"{policies}/web")


def test_what_nobody_would_start_again_is_refused(ground: Ground) -> None:
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "bare", "labels": {"app": "bare"}}}
    ground.api.create(PODS, {**body, "spec": {"containers": [{"name": "bare", "image": "example/bare:1"}]}})
    until(lambda: is_ready(ground.api.read(f"{PODS}/bare")))
    where = ground.system.services[0].instances[0].model_dump() | {"id": "bare-1", "workload": "", "pod": "bare"}
    service = Service(name="bare", instances=(KubernetesInstance(**where),))
    bare = DRIVER.find(service, service.instances[0])  # type: ignore[arg-type]
    assert "nobody would start again" in str(why_not(behaviour("service.crash"), Crash(), bare))
    drained = why_not(behaviour("infrastructure.node"), Node(how="drain", pods="node"), bare)
    assert "nobody would start again" in str(drained)
    ground.api.delete(f"{PODS}/bare", grace_s=0)


def test_a_pod_is_no_process(ground: Ground) -> None:
    with pytest.raises(UnavailableError, match=r"infrastructure\.scale"):
        ground.begin(Stop(restart="murphy"))
    with pytest.raises(UnavailableError, match="SIGABRT"):
        ground.begin(Crash(signal="ABRT"))
    assert _why(Node(how="taint", effect="NoExecute"), ground)
    assert "no key" in _why(Secret(secret="login", key="nothing"), ground)


def test_a_node_with_a_protected_service_keeps_its_pods(ground: Ground) -> None:
    target = ground.target()
    where = ground.system.services[0].instances[0].model_dump() | {"id": "other-1", "workload": "deployment/other"}
    other = Service(name="other", instances=(KubernetesInstance(**where),), protected=True)
    found = DRIVER.find(other, other.instances[0])  # type: ignore[arg-type]
    system = System(name="shop", services=(*ground.system.services, other))
    how = behaviour("infrastructure.node")
    on_it = next(t for t in map(ground.target, (1, 2, 3)) if t.node == found.node)
    with pytest.raises(UnavailableError, match="protected other"):
        how.prepare(Node(how="drain", pods="node"), on_it, Context(system, "murphy-test-1", str(ground.path)))
    gone = replace(target, uid="another")
    with pytest.raises(UnavailableError, match="gone"):
        how.prepare(Node(how="cordon"), gone, Context(system, "murphy-test-1", str(ground.path)))


def _why(fault: FaultSpec, ground: Ground) -> str:
    return str(why_not(behaviour(fault.model_dump()["kind"]), fault, ground.target()) or "")


# SIMULATED: an API server that does not do as it should.


def test_a_server_that_errs_or_is_gone(tmp_path: Path) -> None:
    how = behaviour("infrastructure.scale")
    with broken(tmp_path) as (ground, fake):
        record = ground.begin(Scale())
        fake.troubles.append(Trouble("PATCH", "/deployments/", 500))
        with pytest.raises(RefusedError):
            how.revert(record)
        how.revert(record)
        assert ground.replicas() == REPLICAS
        fake.troubles.append(Trouble("GET", "/deployments/", 503))
        assert how.active(record) is None
        assert how.active(record) is False
        fake.forbidden.add(("delete", "pods"))
        with pytest.raises(UnavailableError, match="may not delete pods"):
            ground.begin(Crash())
        fake.token = "another"
        with pytest.raises(RefusedError, match="Unauthorized") as refused:
            ground.target()
        assert "canary" not in str(refused.value)
        (tmp_path / "kubeconfig.json").write_text(json.dumps(fake.kubeconfig()))
        assert ground.target().pod, "renewed credentials are not read"
    assert how.active(record) is None
    with pytest.raises(UnavailableError, match="does not answer"):
        how.revert(record)


def test_a_watch_from_too_long_ago_is_refused(tmp_path: Path) -> None:
    with broken(tmp_path) as (ground, fake):
        fake.store.forgotten = fake.store.version  # type: ignore[attr-defined]
        from kubernetes import client, config, watch

        with config.new_client_from_config(str(tmp_path / "kubeconfig.json")) as session:
            stream = watch.Watch().stream(
                client.CoreV1Api(session).list_namespaced_pod, SPACE, resource_version="101", timeout_seconds=5
            )
            with pytest.raises(client.ApiException) as expired:
                list(stream)
        assert expired.value.status == 410
        assert ground.ready() == REPLICAS


@pytest.mark.parametrize(
    "fault",
    [Scale(), Node(how="taint"), Endpoints(how="wrong_port"), NetworkPolicy(), Secret(secret="login", key="password")],
)
def test_every_object_stays_valid(fault: FaultSpec, tmp_path: Path) -> None:
    with broken(tmp_path) as (ground, fake):
        record = ground.begin(fault)
        for plural in ("deployments", "nodes", "services", "networkpolicies", "secrets", "pods"):
            for each in fake.store.all(plural):
                kubernetes_validate.validate(each, VERSION, strict=True)
        behaviour(fault.model_dump()["kind"]).revert(record)


def test_the_manifests_are_valid() -> None:
    for _, body in manifests():
        kubernetes_validate.validate(body, VERSION, strict=True)
