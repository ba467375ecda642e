"""Whoever shares a machine, a volume, a network, a node, a Secret or a server with a target is struck with it.

Processes, cgroups, network namespaces, volumes and the engine are real. The cluster is SIMULATED (``kube_fake``).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from executor.clock import boot_id, own_ticks
from executor.drivers.beside import here
from executor.drivers.resolve import resolve
from executor.drivers.targets import LibvirtTarget, ProcessTarget, SshTarget
from executor.errors import SafetyRefusalError
from executor.kernel import cgroup
from executor.model.faults import FaultSpec
from executor.model.faults.data import PoolExhaustion
from executor.model.faults.kubernetes import Node, Secret
from executor.model.faults.network import Saturation
from executor.model.faults.resource import Cpu, DiskFill, IoError, Memory
from executor.model.faults.service import Crash, Hang
from executor.model.plan import InstanceTarget
from executor.model.system import ContainerInstance, KubernetesInstance, ProcessInstance, Service, System
from executor.model.vocabulary import Scope
from executor.run.engine import run
from executor.safety.limits import BlastRadius, Limits
from executor.safety.neighbours import Found, look, refuse_more, refuse_strangers
from executor.safety.rules import refusals
from executor.state.home import Home
from executor.state.journal import Journal
from tests.executor.faults import containers
from tests.executor.faults.cases.volumes import BESIDE, DATA, directories, no_mounts, small_volumes
from tests.executor.faults.containers import Served
from tests.executor.faults.hungry_kit import HUNGRY, Hungry, no_cgroup, scratch_cgroup
from tests.executor.faults.kube_fake.cluster import is_ready
from tests.executor.faults.kube_fake.world import REPLICAS, SPACE
from tests.executor.faults.kube_kit import Objects, simulated
from tests.executor.faults.kube_kit import system_of as pods_of
from tests.executor.faults.net_kit import echoes, nets, no_networks
from tests.executor.kit import LIMITS, approve, experiment_on, plan_of, shelves, system_of, until
from tests.executor.safety.examples import act, plan
from tests.missing import missing

PERCENT = 10


def beside(system: System, fault: FaultSpec, name: str) -> Found:
    """What is struck when a fault is made on the first instance of a service."""
    action = act(fault, InstanceTarget(service=name), "it")
    return look([action], {"it": resolve(action.target, system)}, system)


def known(found: Found) -> set[str]:
    return set(found.also["it"])


def strangers(found: Found) -> tuple[str, ...]:
    return found.strangers.get("it", ())


def hungry(which: Hungry, **more: object) -> Service:
    name = which.name.split("-")[0]
    instance = ProcessInstance(id=f"{name}-1", command=f"{HUNGRY.name} {which.name}")
    return Service(name=name, instances=(instance,), restarts="by_hand", **more)  # type: ignore[arg-type]


@pytest.fixture
def three() -> Iterator[tuple[Hungry, Hungry, Hungry]]:
    """A target, another service, and one that no system names."""
    with ExitStack() as ends:
        made = [Hungry(name) for name in ("target", "other", "stranger")]
        for one in made:
            ends.callback(one.end)
        yield made[0], made[1], made[2]


Three = tuple[Hungry, Hungry, Hungry]


@pytest.mark.parametrize(("controller", "fault"), [("cpu", Cpu(load_percent=PERCENT)), ("memory", Memory(bytes=2**20))])
def test_what_takes_from_the_machine_strikes_all_on_it(controller: str, fault: Cpu | Memory, three: Three) -> None:
    target, other, _ = three
    system = System(name="larder", services=(hungry(target), hungry(other)))
    found = beside(system, fault, "target")
    assert known(found) == {"other-1"}
    assert strangers(found) == (), "there are others on every machine"
    if reason := no_cgroup(controller):
        missing(reason)
    with scratch_cgroup(controller) as directory:
        origin = cgroup.hierarchy(controller).of(target.process.pid)
        cgroup.enter(directory, target.process.pid)
        try:
            assert known(beside(system, fault, "target")) == {"other-1"}, "its own, but without a limit"
            _limit(directory, controller)
            assert known(beside(system, fault, "target")) == set()
        finally:
            cgroup.enter(origin, target.process.pid)


def _limit(directory: Path, controller: str) -> None:
    files = {"cpu": ("cpu.max", "cpu.cfs_quota_us"), "memory": ("memory.max", "memory.limit_in_bytes")}[controller]
    text = {"cpu": "50000", "memory": str(2**30)}[controller]
    next(directory / name for name in files if (directory / name).exists()).write_text(text, encoding="ascii")


@pytest.mark.usefixtures("quick")
def test_no_run_begins_that_would_strike_a_protected_service_on_the_same_machine(home: Home) -> None:
    with shelves("books", "maps", chained=False) as running:
        system = system_of(running)
        plan = plan_of(system, (experiment_on(system, "books", Cpu(load_percent=PERCENT)),))
        guarded = Limits(**{**dict(LIMITS), "protected_services": ("maps",)})
        assert refusals(plan, system, guarded) == [], "the description does not say that they share a machine"
        with pytest.raises(SafetyRefusalError) as caught:
            run(plan, approve(home, plan, guarded), system=system, limits=guarded, home=home)
        assert str(caught.value) == (
            "refused by protected services: action a1 strikes maps too (resource.cpu reaches all of its machine),"
            " and the limit is never maps. Choose another target."
        )
        half = Limits(
            **{
                **dict(LIMITS),
                "blast_radius": BlastRadius(instances_percent=50, services_percent=100, traffic_percent=100),
            }
        )
        with pytest.raises(SafetyRefusalError, match="touches 2 instances at once, and the limit is 1 of 2 instances"):
            run(plan, approve(home, plan, half), system=system, limits=half, home=home)
        evidence = run(plan, approve(home, plan), system=system, limits=LIMITS, home=home)
        assert evidence.targets, "the operator allows all of it"
        assert not evidence.owed


@pytest.mark.usefixtures("quick")
def test_runs_together_count_what_they_reach(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a run was admitted for holds its neighbours too: no other may strike them."""
    with shelves("books", "maps", chained=False) as running:
        system = system_of(running)
        plan = plan_of(system, (experiment_on(system, "books", Cpu(load_percent=PERCENT)),))
        rows = []
        real = Journal.admit
        monkeypatch.setattr(Journal, "admit", lambda self, *a, **k: (rows.append(k["reach"]), real(self, *a, **k))[1])
        assert not run(plan, approve(home, plan), system=system, limits=LIMITS, home=home).owed
        (reach,) = rows
        assert reach.targets == ("books-1", "maps-1")
        assert (reach.instances, reach.services, reach.struck) == (2, 2, ("books", "maps"))


def test_what_has_come_since_the_run_began_is_not_struck(three: Three) -> None:
    target, other, _ = three
    system = System(name="larder", services=(hungry(target), hungry(other)))
    action = act(Cpu(load_percent=PERCENT), InstanceTarget(service="target"), "it")
    targets = {"it": resolve(action.target, system)}
    refuse_more([action], targets, system, LIMITS, ("target-1", "other-1"))
    with pytest.raises(SafetyRefusalError, match=r"action it would strike other-1 by now.*Approve the plan again"):
        refuse_more([action], targets, system, LIMITS, ("target-1",))


def test_a_directory_is_struck_for_all_that_have_files_in_it(three: Three) -> None:
    target, other, stranger = three
    system = System(name="larder", services=(hungry(target, directories=(str(DATA),)), hungry(other)))
    with directories():
        fault = IoError(path=str(DATA))
        assert beside(system, fault, "target") == Found({"it": frozenset()}, {})
        for one, path in ((other, DATA / "theirs"), (stranger, BESIDE / "apart")):
            _hold(one, path)
        assert known(beside(system, fault, "target")) == {"other-1"}
        assert strangers(beside(system, fault, "target")) == ()
        _hold(stranger, DATA / "nobodys")
        found = beside(system, fault, "target")
        assert len(strangers(found)) == 1
        assert strangers(found)[0].startswith(f"process {stranger.process.pid} (")
        with pytest.raises(SafetyRefusalError) as caught:
            refuse_strangers(found, LIMITS)
        assert "action it strikes 1 that system.yaml does not name: process" in str(caught.value)
        assert "the limit is 0 (strangers_max in limits.toml)" in str(caught.value)
        refuse_strangers(found, Limits(blast_radius=BlastRadius(strangers_max=1)))
        for name in ("theirs", "nobodys"):
            (DATA / name).unlink()
        (BESIDE / "apart").unlink()


def _hold(which: Hungry, path: Path) -> None:
    """Have it keep a file open."""
    which.ask("hold", path=str(path))


def test_a_volume_is_struck_for_all_that_have_files_on_it(three: Three) -> None:
    if reason := no_mounts():
        missing(reason)
    target, other, stranger = three
    with small_volumes():
        (DATA / "deep").mkdir()
        system = System(name="larder", services=(hungry(target), hungry(other, directories=(str(DATA / "deep"),))))
        fault = DiskFill(path=str(DATA))
        assert known(beside(system, fault, "target")) == {"other-1"}, "it says that its data is there"
        assert known(beside(system, DiskFill(path=str(BESIDE)), "target")) == set()
        _hold(stranger, DATA / "deep" / "nobodys")
        assert [name.split()[1] for name in strangers(beside(system, fault, "target"))] == [str(stranger.process.pid)]
        stranger.end()


def test_a_network_of_its_own_is_shared_by_all_in_it() -> None:
    if reason := no_networks():
        missing(reason)
    fault = Saturation(rate_mbps=1)
    with nets() as (net,), echoes("target", "other", net=net) as (target, other), echoes("outside") as (outside,):
        system = System(name="wires", services=(target.service, other.service, outside.service))
        assert known(beside(system, fault, "target")) == {"other-1"}
        fewer = System(name="wires", services=(target.service, outside.service))
        (stranger,) = strangers(beside(fewer, fault, "target"))
        assert stranger.startswith(f"process {other.process.pid} (")
        assert beside(system, fault, "outside") == Found({"it": frozenset()}, {}), "a machine's own is no narrow way"


def test_two_databases_of_one_server_go_together(monkeypatch: pytest.MonkeyPatch, three: Three) -> None:
    """By the connection strings, which need no server to be compared."""
    target, other, _ = three
    monkeypatch.setenv("ONE", "postgresql://localhost:5433/one")
    monkeypatch.setenv("TWO", "host=127.0.0.1 port=5433 dbname=two")
    database = {"technology": "postgresql", "disposable": True}
    system = System(
        name="larder",
        services=(hungry(target, dsn="env:ONE", **database), hungry(other, dsn="env:TWO", **database)),
    )
    fault = PoolExhaustion(sessions=5)
    assert known(beside(system, fault, "target")) == {"other-1"}
    monkeypatch.setenv("TWO", "postgresql://127.0.0.1:5434/two")
    assert known(beside(system, fault, "target")) == set()
    monkeypatch.delenv("TWO")
    (stranger,) = strangers(beside(system, fault, "target"))
    assert stranger.startswith("other, perhaps, whose server cannot be told (env:TWO:")


def test_a_container_takes_along_those_in_its_network() -> None:
    if reason := containers.lacking():
        missing(reason)
    with containers.yard() as yard:
        yard.target.start()
        yard.neighbour.start()
        side = _sidecar(yard.target)
        web = Service(name="web", instances=(yard.target.instance,))
        other = Service(name="neighbour", instances=(yard.neighbour.instance,))
        helper = ContainerInstance(id="side-1", container=side, engine=yard.engine.url)
        system = System(name="shop", services=(web, other, Service(name="side", instances=(helper,))))
        for fault in (Crash(), Hang()):
            assert known(beside(system, fault, "web")) == {"side-1"}
            assert known(beside(system, fault, "neighbour")) == set()
            assert known(beside(system, fault, "side")) == set(), "the network is not the sidecar's"
        fewer = System(name="shop", services=(web, other))
        assert strangers(beside(fewer, Crash(), "web")) == (f"container {side}, which is in its network",)
        with pytest.raises(SafetyRefusalError, match="refused by strangers"):
            refuse_strangers(beside(fewer, Crash(), "web"), LIMITS)


def _sidecar(of: Served) -> str:
    name = "side"
    with of.engine.client() as client:
        config = client.create_host_config(network_mode=f"container:{of.name}")
        client.create_container(containers.IMAGE, ["sleep", "1000"], name=name, host_config=config)
        client.start(name)
    return name


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[Objects, Path]]:
    kubeconfig = tmp_path / "kubeconfig.json"
    with simulated() as (store, settings):
        kubeconfig.write_text(json.dumps(settings))
        until(lambda: sum(map(is_ready, store.all("pods", SPACE))) == REPLICAS + 1)
        yield store, kubeconfig


Cluster = tuple[Objects, Path]


def _both(kubeconfig: Path, **more: object) -> System:
    """The deployment's pods, and the other deployment's."""
    where = {"kubeconfig": str(kubeconfig), "namespace": SPACE, "workload": "deployment/other"}
    other = Service(name="other", instances=(KubernetesInstance(id="other-1", **where),), **more)  # type: ignore[arg-type]
    return System(name="shop", services=(*pods_of(kubeconfig).services, other))


def _with_other(store: Objects) -> str:
    """Which instance is on the node of the other deployment's pod."""
    nodes = {pod["metadata"]["name"]: pod["spec"]["nodeName"] for pod in store.all("pods", SPACE)}
    web = sorted(
        (pod for pod in store.all("pods", SPACE) if pod["metadata"]["labels"]["app"] == "web"),
        key=lambda pod: (pod["metadata"]["creationTimestamp"], pod["metadata"]["name"]),
    )
    there = next(node for name, node in nodes.items() if name.startswith("other"))
    return next(f"web-{n + 1}" for n, pod in enumerate(web) if pod["spec"]["nodeName"] == there)


def test_all_pods_of_a_node_are_struck_with_it(cluster: Cluster) -> None:
    store, kubeconfig = cluster
    system, fault = _both(kubeconfig), Node(how="drain", pods="node")
    action = act(fault, InstanceTarget(service="web", ids=(_with_other(store),)), "it")
    targets = {"it": resolve(action.target, system)}
    found = look([action], targets, system)
    assert "other-1" in known(found)
    assert strangers(found) == ()
    own = act(Node(how="drain"), action.target, "it")
    assert known(look([own], targets, system)) == set(), "only the service's own pods go"
    guarded = Limits(**{**dict(LIMITS), "protected_services": ("other",)})
    (refusal,) = [r for r in refusals(plan(system, action), system, guarded, found.also) if "protected" in r.rule]
    assert "action it strikes other too (infrastructure.node reaches all of its service and machine)" in str(refusal)


def test_pods_that_nobody_names_keep_a_node_from_being_drained(cluster: Cluster) -> None:
    store, kubeconfig = cluster
    system = pods_of(kubeconfig)
    action = act(Node(how="delete_pods", pods="node"), InstanceTarget(service="web", ids=(_with_other(store),)), "it")
    found = look([action], {"it": resolve(action.target, system)}, system)
    (stranger,) = strangers(found)
    assert stranger.startswith(f"pod {SPACE}/other-")
    with pytest.raises(SafetyRefusalError, match=r"refused by strangers: action it strikes 1 that system.yaml does"):
        refuse_strangers(found, LIMITS)
    fewer = System(name="shop", services=(Service(name="web", instances=system.services[0].instances[:1]),))
    one = act(Node(how="drain", pods="node"), InstanceTarget(service="web"), "it")
    unnamed = strangers(look([one], {"it": resolve(one.target, fewer)}, fewer))
    assert not [name for name in unnamed if "web" in name], "the other pods of its deployment are the service's own"


def test_all_that_read_a_secret_are_struck_with_it(cluster: Cluster) -> None:
    store, kubeconfig = cluster
    system, fault = _both(kubeconfig), Secret(secret="login", key="password")
    assert known(beside(system, fault, "web")) == set()
    volumes = [{"name": "login", "projected": {"sources": [{"secret": {"name": "login"}}]}}]
    for pod in store.all("pods", SPACE):
        if pod["metadata"]["labels"]["app"] == "other":
            store.remove("pods", pod)
    deployment = store.get("deployments", "other", SPACE)
    spec = deployment["spec"]["template"]["spec"]
    store.remove("deployments", deployment)
    until(lambda: not [p for p in store.all("pods", SPACE) if p["metadata"]["labels"]["app"] == "other"])
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "other"},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": "other"}},
            "template": {"metadata": {"labels": {"app": "other"}}, "spec": {**spec, "volumes": volumes}},
        },
    }
    store.create("deployments", body, SPACE)
    until(lambda: sum(map(is_ready, store.all("pods", SPACE))) == REPLICAS + 1)
    assert known(beside(system, fault, "web")) == {"other-1"}
    (stranger,) = strangers(beside(pods_of(kubeconfig), fault, "web"))
    assert stranger.startswith(f"pod {SPACE}/other-")


def test_one_that_its_process_has_started_goes_with_it() -> None:
    """As under a supervisor: the child is an instance of another service."""
    with shelves("books") as (books,):
        above = ProcessInstance(id="above-1", pid=os.getpid(), start_ticks=own_ticks())
        system = System(name="library", services=(Service(name="above", instances=(above,)), books.service()))
        assert known(beside(system, Hang(), "above")) == {"books-1"}
        assert known(beside(system, Hang(), "books")) == set()


def test_what_strikes_this_machine_strikes_what_other_drivers_have_on_it(three: Three) -> None:
    """A process that ``ssh`` finds here, and a machine that this host's libvirt keeps; not those elsewhere."""
    system = System(name="larder", services=(hungry(three[0]),))
    (target,) = resolve(InstanceTarget(service="target"), system)
    assert isinstance(target, ProcessTarget)
    service = target.service

    def remote(name: str, boot: str) -> SshTarget:
        return SshTarget(service, name, machine={}, boot=boot, pid=1, start_ticks=1)

    def machine(name: str, uri: str) -> LibvirtTarget:
        return LibvirtTarget(service, name, uri=uri, uuid="", number="1")

    others = [
        remote("ssh-here", boot_id()),
        remote("ssh-there", "another"),
        machine("vm-here", "qemu:///system"),
        machine("vm-there", "qemu+ssh://host/system"),
    ]
    found = here(target, Scope.MACHINE, Cpu(load_percent=PERCENT), others)
    assert found.instances == {"ssh-here", "vm-here"}
