"""From the plan to the report: one kind of each layer at least, on the most real component that there is here.

Processes, the fault proxy, cgroups' descriptors and PostgreSQL are real. The cluster is SIMULATED (``kube_fake``).
"""

from __future__ import annotations

import html
import json
import os
import re
import resource
import urllib.request
from collections.abc import Callable, Iterator
from http.client import HTTPException
from pathlib import Path

import psycopg
import pytest

from executor.model import wording
from executor.model.evidence import Event, EventKind, Evidence
from executor.model.faults.data import ConnectionFailure
from executor.model.faults.kubernetes import Node
from executor.model.faults.network import Reset
from executor.model.faults.resource import FileDescriptors
from executor.model.faults.service import Hang
from executor.model.plan import Action, EdgeTarget, InstanceTarget, Plan
from executor.model.probe import Check, TcpProbe
from executor.model.system import KubernetesInstance, ProcessInstance, Service, System
from executor.model.vocabulary import Weakness
from executor.run.engine import run
from executor.state.home import Home
from experts.brief import Brief
from experts.proposal import Proposal
from planner.assemble import assemble
from planner.compile import compile_candidates
from planner.optimise import select
from planner.report.write import write
from tests.executor.faults.cases import Bench
from tests.executor.faults.kube_fake.cluster import is_ready
from tests.executor.faults.kube_fake.world import REPLICAS, SPACE
from tests.executor.faults.kube_kit import Objects, simulated
from tests.executor.kit import LIMITS, approve, experiment_on, plan_of, proxied, shelves, until

Seen = Callable[[], bool]


def whole(home: Home, plan: Plan, system: System, faulted: Seen, path: Path, well: Seen | None = None) -> Evidence:
    """Approve and run it, see the target normal, faulted and ``well`` again, and report; returns the evidence.

    What is not said to be faulted any more is well, unless there is more to it.
    """
    shown: dict[EventKind, bool] = {}

    def look(event: Event) -> None:
        if event.kind in (EventKind.ARMED, EventKind.INJECTED, EventKind.REVERTED):
            shown.setdefault(event.kind, faulted())

    assert not faulted()
    evidence = run(plan, approve(home, plan), system=system, limits=LIMITS, home=home, report=look)
    assert (evidence.outcome, evidence.owed) == ("completed", ())
    assert shown[EventKind.ARMED] is False
    assert shown[EventKind.INJECTED] is True
    assert not faulted() if well is None else until(well)
    reverts = [check for result in evidence.results for check in result.reverts]
    assert reverts
    assert all(check.reverted and check.verified for check in reverts)
    for name in ("report.md", "report.html"):
        write(home, evidence.run, path / name)
        text = (path / name).read_text(encoding="utf-8")
        assert evidence.run in text
        assert wording.named(plan.experiments[0].hypotheses[0].weakness) in text
    return evidence


@pytest.mark.usefixtures("quick")
def test_service_a_process_that_hangs(home: Home, tmp_path: Path) -> None:
    with shelves("books") as (books,):
        system = System(name="library", services=(books.service(),))
        plan = plan_of(system, (experiment_on(system, "books", Hang()),))
        whole(home, plan, system, books.stopped, tmp_path)
        assert books.answers()


@pytest.mark.usefixtures("quick")
def test_network_an_edge_whose_connections_are_cut(home: Home, tmp_path: Path) -> None:
    with proxied(tmp_path) as ((base, front), system):
        target = EdgeTarget(caller="front", callee="base")
        cut = Action(id="cut", fault=Reset(), target=target, duration_s=1.0)
        plan = plan_of(system, (experiment_on(system, "front", actions=(cut,)),))
        evidence = whole(home, plan, system, lambda: not _served(front.port), tmp_path)
        assert base.answers()
        measured = [event.detail for event in evidence.timeline if event.kind is EventKind.MEASURED]
        assert measured, "the size of the fault is told"
        for name in ("report.md", "report.html"):
            shown = html.unescape((tmp_path / name).read_text(encoding="utf-8")).replace("\\", "")
            assert f"cut: {measured[0]}" in shown, name
        for said in measured:
            found = re.fullmatch("front->base: all requests asked, ([0-9]+) of ([0-9]+) struck", said)
            assert found, said
            assert found[1] == found[2]


def _served(port: int) -> bool:
    """Whether the way over the edge is served."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/via", timeout=60) as answer:
            return bool(answer.status == 200)
    except (OSError, HTTPException):
        return False


@pytest.mark.usefixtures("quick")
def test_resource_a_process_that_can_open_nothing(home: Home, tmp_path: Path) -> None:
    with shelves("books", "maps", chained=False) as (books, maps):
        found, other = books.found(), maps.found()
        assert found is not None
        assert other is not None
        before = [resource.prlimit(each.pid, resource.RLIMIT_NOFILE) for each in (found, other)]
        system = System(name="library", services=(books.service(), maps.service()))
        plan = plan_of(system, (experiment_on(system, "books", FileDescriptors()),))

        def lowered() -> bool:
            assert resource.prlimit(other.pid, resource.RLIMIT_NOFILE) == before[1], "the bystander keeps its own"
            return resource.prlimit(found.pid, resource.RLIMIT_NOFILE) != before[0]

        whole(home, plan, system, lowered, tmp_path)
        assert books.answers()


@pytest.mark.usefixtures("quick")
def test_data_a_database_that_turns_its_clients_away(home: Home, tmp_path: Path, bench: Bench) -> None:
    server = bench.postgres()
    os.environ["TEST_WHOLE"] = server.url()
    check = Check(id="postgres", service="postgres", probe=TcpProbe(port=server.port), rate_hz=20)
    database = Service(
        name="postgres",
        technology="postgresql",
        dsn="env:TEST_WHOLE",
        instances=(ProcessInstance(id="postgres-1", port=server.port),),
        operations=(check,),
        disposable=True,
    )
    system = System(name="shop", services=(database,))
    plan = plan_of(system, (experiment_on(system, "postgres", ConnectionFailure()),))

    def refused() -> bool:
        assert server.ask("SELECT 1") == [(1,)], "its administrator is let in, to another database"
        try:
            psycopg.connect(server.url(), connect_timeout=20).close()
        except psycopg.OperationalError as error:
            return "not currently accepting connections" in str(error)
        return False

    whole(home, plan, system, refused, tmp_path)


@pytest.fixture
def simulation(tmp_path: Path) -> Iterator[tuple[Objects, Path]]:
    """A simulated cluster, and the kubeconfig that leads to it."""
    kubeconfig = tmp_path / "kubeconfig.json"
    with simulated() as (store, settings):
        kubeconfig.write_text(json.dumps(settings))
        until(lambda: sum(map(is_ready, store.all("pods", SPACE))) == REPLICAS + 1)
        yield store, kubeconfig


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("how", ["cordon", "drain", "taint", "delete_pods"])
def test_infrastructure_a_node(home: Home, tmp_path: Path, simulation: tuple[Objects, Path], how: str) -> None:
    """As the planner makes an experiment of it, for a service whose pages a process here answers."""
    store, kubeconfig = simulation
    with shelves("books") as (books,):
        where = {"kubeconfig": str(kubeconfig), "namespace": SPACE, "workload": "deployment/web"}
        pods = tuple(KubernetesInstance(id=f"web-{n + 1}", index=n, **where) for n in range(REPLICAS))
        shown = books.service()
        page = Check(**{**dict(shown.operations[0]), "critical": True, "exercises": ()})
        web = Service(**{**dict(shown), "instances": pods, "operations": (page,), "restarts": "supervised"})
        other = KubernetesInstance(id="other-1", **{**where, "workload": "deployment/other"})
        system = System(name="library", services=(web, Service(name="other", instances=(other,))))
        fault = Node.model_validate({"how": how, "pods": "node" if how == "delete_pods" else "service", "grace_s": 1})
        drained = how == "drain"
        plan = _planned(system, fault) if drained else plan_of(system, (experiment_on(system, "books", fault),))
        before = _pods(store)

        def struck() -> bool:
            closed = any(n["spec"].get("unschedulable") or n["spec"].get("taints") for n in store.all("nodes"))
            return closed or (how == "delete_pods" and not before <= _pods(store))

        def well() -> bool:
            open_again = not any(n["spec"].get("unschedulable") or n["spec"].get("taints") for n in store.all("nodes"))
            return open_again and sum(map(is_ready, store.all("pods", SPACE))) == REPLICAS + 1

        evidence = whole(home, plan, system, struck, tmp_path, well)
        assert {target.instance for target in evidence.targets} == {"web-1"}
        assert bool(before - _pods(store)) == (how in ("drain", "delete_pods"))
        assert b"canary" not in b"".join(file.read_bytes() for file in home.path.rglob("*") if file.is_file())


def _pods(store: Objects) -> set[str]:
    return {pod["metadata"]["uid"] for pod in store.all("pods", SPACE)}


def _planned(system: System, fault: Node) -> Plan:
    """The planner's own experiment for a proposal of the fault."""
    proposal = Proposal(
        expert="platform-engineer",
        weakness=Weakness.SINGLE_POINT_OF_FAILURE,
        place="books",
        fault=fault,
        target=InstanceTarget(service="books"),
        probability=0.4,
        rationale="Nodes are drained.",
    )
    brief = Brief(system=system)
    found = compile_candidates([proposal], (), brief, limits=LIMITS, weights={})
    assert len(found.experiments) == 1, found.notes
    chosen = select(found.experiments, brief)
    return assemble(chosen, brief, plan_id="plan-1", proposer="tester", candidates=1)
