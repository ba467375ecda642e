"""Murphy's faults as Chaos Mesh resources: valid by its own definitions, and refused where they would say less.

Chaos Mesh is SIMULATED where one runs; ``make test-k8s`` has a real API server judge the resources too.
"""

from __future__ import annotations

import json
import os
from functools import partial
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from executor.drivers.kubernetes import chaos_mesh
from executor.drivers.kubernetes.api import RefusedError, connect
from executor.drivers.kubernetes.chaos_mesh import KINDS, Where
from executor.drivers.resolve import resolve
from executor.errors import UnavailableError
from executor.faults.behaviour import Context, why_not
from executor.faults.registry import behaviour
from executor.model.faults import FaultSpec
from executor.model.faults import kubernetes as specs
from executor.model.faults.network import Bandwidth, Corruption, Dns, DuplicateReorder, Latency, Loss, Partition
from executor.model.faults.resource import ClockSkew, Cpu, IoError, Memory
from executor.model.faults.service import CorruptResponse, Crash, Error, Stop, Timeout
from executor.model.plan import InstanceTarget
from tests.executor.faults.cases import OTHERS
from tests.executor.faults.kube_fake.chaos import definitions
from tests.executor.faults.kube_fake.world import SPACE
from tests.executor.faults.kube_kit import simulated, system_of, with_chaos_mesh
from tests.executor.kit import until
from tests.missing import not_meant

POD = Where("shop", "web-1", 60, port=8000)
BETWEEN = Where("shop", "web-1", 60, port=8000, towards={"app": "other"})
FAULTS = [
    (Crash(), POD, {"action": "pod-kill", "gracePeriod": 0}),
    (Stop(), POD, {"action": "pod-failure"}),
    (Error(status=503, method="GET", path="/items/*"), POD, {"target": "Response", "replace": {"code": 503}}),
    (Timeout(), POD, {"target": "Request", "delay": "60s"}),
    (CorruptResponse(how="wrong_content_type"), POD, {"target": "Response"}),
    (Latency(delay_ms=250, jitter_ms=50), POD, {"action": "delay", "direction": "to"}),
    (Latency(delay_ms=250), BETWEEN, {"action": "delay", "direction": "to"}),
    (Loss(percent=12.5, direction="out"), POD, {"loss": {"loss": "12.5", "correlation": "0"}}),
    (Loss(percent=20, direction="in"), BETWEEN, {"direction": "from"}),
    (Corruption(percent=20, direction="answers"), POD, {"corrupt": {"corrupt": "20", "correlation": "0"}}),
    (DuplicateReorder(), POD, {"action": "netem"}),
    (DuplicateReorder(reorder_percent=0), POD, {"action": "duplicate"}),
    (Bandwidth(rate_kbps=256), BETWEEN, {"action": "bandwidth", "direction": "both"}),
    (Partition(), BETWEEN, {"action": "partition", "direction": "both"}),
    (Partition(direction="a_to_b"), BETWEEN, {"action": "partition", "direction": "to"}),
    (Dns(names=("orders.*",)), POD, {"action": "error", "patterns": ["orders.*"]}),
    (Dns(mode="wrong_address"), POD, {"action": "random", "patterns": ["*"]}),
    (Cpu(load_percent=80, cores=2), POD, {"stressors": {"cpu": {"workers": 2, "load": 80}}}),
    (Memory(bytes=256 * 2**20), POD, {"stressors": {"memory": {"workers": 1, "size": "256MiB"}}}),
    (IoError(path="/data", probability=0.5), POD, {"errno": 5, "percent": 50, "volumePath": "/data"}),
    (ClockSkew(offset_s=-300), POD, {"timeOffset": "-300s"}),
]
REFUSED = [
    (Latency(delay_ms=250, jitter_ms=50, distribution="pareto"), POD, "evenly"),
    (Crash(signal="SEGV"), POD, "no SIGSEGV"),
    (Error(probability=0.5), POD, "every request"),
    (Error(), Where("shop", "web-1", 60), "port"),
    (Timeout(after_bytes=100), POD, "after_bytes at 0"),
    (CorruptResponse(how="truncate"), POD, "bodies of answers whole"),
    (CorruptResponse(how="empty"), POD, "bodies of answers whole"),
    (Loss(percent=20), POD, "towards"),
    (Partition(), POD, "towards"),
    (Partition(how="reject"), BETWEEN, "rejects nothing"),
    (Dns(mode="slow"), POD, "not slow"),
    (Dns(names=("*.shop",)), POD, "only at the end"),
    (Memory(bytes=256 * 2**20, grow_bytes_per_s=1), POD, "at once"),
    (Memory(fill_percent=80), POD, "choose bytes"),
]


def closed(schema: Any) -> Any:
    """The schema, which then takes nothing that it does not name: a real server drops that without a word."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    named = {name: closed(each) for name, each in schema.items()}
    return (
        named | {"additionalProperties": False} if "properties" in schema and schema.get("type") == "object" else named
    )


def holds(taken: Any, asked: Any) -> bool:
    """Whether all is there that was asked for; a server adds defaults."""
    if not isinstance(asked, dict):
        return bool(taken == asked)
    return all(name in taken and holds(taken[name], value) for name, value in asked.items())


def validate(body: dict[str, Any]) -> None:
    (found,) = [each["spec"] for each in definitions() if each["spec"]["names"]["kind"] == body["kind"]]
    schema = found["versions"][0]["schema"]["openAPIV3Schema"]
    jsonschema.validate(body["spec"], closed(schema["properties"]["spec"]))


@pytest.mark.parametrize(("fault", "where", "part"), FAULTS)
def test_a_fault_becomes_a_valid_resource(fault: FaultSpec, where: Where, part: dict[str, Any]) -> None:
    body = chaos_mesh.compiled(fault.model_dump(), where)
    validate(body)
    assert part.items() <= body["spec"].items()
    assert body["spec"]["duration"] == "60s"
    assert body["spec"]["selector"] == {"namespaces": ["shop"], "pods": {"shop": ["web-1"]}}


@pytest.mark.parametrize(("fault", "where", "why"), REFUSED)
def test_what_chaos_mesh_cannot_do_is_refused(fault: FaultSpec, where: Where, why: str) -> None:
    with pytest.raises(UnavailableError, match=why):
        chaos_mesh.compiled(fault.model_dump(), where)


def test_every_kind_that_can_be_compiled_may_be_asked_for() -> None:
    kinds = {fault.model_dump()["kind"] for fault, _, _ in FAULTS}
    assert kinds == set(KINDS)
    for fault, _, _ in FAULTS:
        asked = specs.ChaosMesh.model_validate({"fault": fault.model_dump(mode="json")})
        assert asked.fault == fault
        assert asked.looks() == fault.looks()
        assert fault.words() in asked.words()


def test_the_server_ends_it_after_its_duration(tmp_path: Path) -> None:
    how = behaviour("infrastructure.chaos_mesh")
    with with_chaos_mesh() as (store, settings):
        (tmp_path / "kubeconfig.json").write_text(json.dumps(settings))
        system = system_of(tmp_path / "kubeconfig.json")
        until(
            lambda: (
                len(store.all("endpoints", SPACE)) == 2 and all(e.get("subsets") for e in store.all("endpoints", SPACE))
            )
        )
        (target,) = resolve(InstanceTarget(service="web"), system)
        fault = specs.ChaosMesh(fault=Latency(delay_ms=200), duration_s=1)
        record = how.prepare(fault, target, Context(system, "murphy-test-1", str(tmp_path)))
        record |= how.inject(record, 60)
        assert how.active(record) is True
        until(lambda: how.active(record) is False, what="it outlives its duration")
        assert len(store.all("networkchaos", SPACE)) == 1
        how.revert(record)
        assert store.all("networkchaos", SPACE) == []


def test_a_cluster_without_chaos_mesh_says_so(tmp_path: Path) -> None:
    with simulated() as (store, settings):
        (tmp_path / "kubeconfig.json").write_text(json.dumps(settings))
        system = system_of(tmp_path / "kubeconfig.json")
        until(lambda: store.all("pods", SPACE))
        (target,) = resolve(InstanceTarget(service="web"), system)
        fault = specs.ChaosMesh(fault=Cpu(load_percent=80))
        assert "not installed" in str(why_not(behaviour("infrastructure.chaos_mesh"), fault, target))


def test_a_real_server_takes_every_resource(tmp_path: Path) -> None:
    if "kubernetes" not in os.environ.get(OTHERS, ""):
        not_meant("make test-k8s asks a real API server")
    from tests.kubernetes.cluster import real

    with real() as (_, settings):
        (tmp_path / "kubeconfig.json").write_text(json.dumps(settings))
        api = connect({"kubeconfig": str(tmp_path / "kubeconfig.json")})
        kinds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        for each in definitions():
            if api.find(f"{kinds}/{each['metadata']['name']}") is None:
                api.create(kinds, each)
            place = chaos_mesh.path(each["spec"]["names"]["kind"], SPACE)
            until(partial(api.find, place))
        for number, (fault, where, _) in enumerate(FAULTS):
            body = chaos_mesh.compiled(fault.model_dump(), where)
            asked = {**body, "metadata": {"name": f"murphy-{number}"}}
            taken = api.create(chaos_mesh.path(body["kind"], SPACE), asked, dry=True)
            assert holds(taken["spec"], body["spec"]), "the server has dropped something"
            with pytest.raises(RefusedError):
                wrong = {**asked, "spec": {**body["spec"], "mode": "some"}}
                api.create(chaos_mesh.path(body["kind"], SPACE), wrong, dry=True)
