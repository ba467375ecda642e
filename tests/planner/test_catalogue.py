"""Every kind of fault is proposed by somebody of the council, where a system gives reason to; or it is said why not."""

from __future__ import annotations

from typing import Any

import pytest

from executor.model.faults import SPECS
from executor.model.plan import InstanceTarget
from executor.model.probe import DetectionSignal, HttpProbe
from executor.model.system import (
    ContainerInstance,
    Dependency,
    Ec2Instance,
    KubernetesInstance,
    ManagedProxy,
    ProcessInstance,
    Service,
    System,
)
from executor.model.vocabulary import ServiceKind
from executor.safety.limits import BlastRadius, Limits
from experts.brief import Brief
from experts.proposal import Proposal
from experts.roster import council
from planner.compile import compile_candidates
from planner.rehearsal import rehearse
from tests.planner.systems import URL, check, edge, service

NOBODY = {
    "network.duplicate_reorder": "TCP bears it, and no criterion tells it from a little more latency",
    "data.corruption": "whether wrong data is noticed takes a check of the data, which no criterion is",
    "data.inconsistency": "which instance is the replica is not in a system's description",
    "data.backup_failure": "who watches the backups is not in a system's description",
    "data.restore_drill": "what it finds is on the run's time line, and no criterion judges it",
    "infrastructure.config": "which key of a file would matter is not in a system's description",
    "infrastructure.secret": "which Secret a service reads is not in a system's description",
}
"""Kinds that nobody proposes, and why; people plan them by hand."""
ALL = Limits(
    blast_radius=BlastRadius(
        instances_percent=100, services_percent=100, traffic_percent=100, protected_impact_percent=100
    ),
    concurrent_faults_max=20,
)


def city() -> System:
    """A rich one: balancer → processes, databases, a queue; containers, pods, a machine in the cloud, two zones."""
    needs = ("gate", "app", "db")
    use = (
        *("gate->app", "app->db", "app->cache", "app->tips", "app->queue"),
        *("app->pods", "app->pod", "app->named", "front->gate"),
    )
    db: dict[str, Any] = {"disposable": True, "dsn": "env:DSN", "admin_dsn": "env:ADMIN", "tables": ("orders", "goods")}
    pod = KubernetesInstance(id="pod-1", workload="deployment/pod")
    pods = tuple(KubernetesInstance(id=f"pods-{n}", workload="deployment/pods", index=n) for n in range(2))
    machine = Ec2Instance(
        id="cloud-1", instance="i-0123456789abcdef0", region="eu-west-1", fis_role="arn:aws:iam::123456789012:role/fis"
    )
    zones = tuple(ProcessInstance(id=f"spread-{z}", command=f"spread {z}", zone=z) for z in ("a", "b"))
    box = ContainerInstance(id="box-1", container="box", port=8080)
    services = (
        service("front", criticality=3, operations=(check("all", "front", critical=True, exercises=use),)),
        service(
            "gate",
            kind=ServiceKind.LOAD_BALANCER,
            control="/run/haproxy.sock",
            operations=(check("in", "gate", critical=True, needs=needs, exercises=use[:1]),),
            signals=(DetectionSignal(id="gate-health", service="gate", probe=HttpProbe(url=f"{URL}/gate")),),
        ),
        service(
            "app",
            instances=2,
            operations=(
                check("order", "app", critical=True, exercises=("app->db",), needs=needs, tables=("orders",)),
                check("list", "app", exercises=use[1:], needs=needs, tables=("goods",)),
                check("imprint", "app", exercises=(), needs=("app",)),
            ),
        ),
        service("db", kind=ServiceKind.DATABASE, technology="postgresql", **db),
        service("cache", kind=ServiceKind.CACHE, technology="redis", disposable=True, dsn="env:CACHE"),
        service("tips", directories=("/srv/tips",), operations=(check("tip", "tips", exercises=()),)),
        service("queue", kind=ServiceKind.QUEUE, disposable=True, queues=("orders",)),
        service("named", operations=(check("name", "named", exercises=("named->tips",)),)),
        Service(name="pods", kind=ServiceKind.HTTP, instances=pods, operations=(_page("pods"),)),
        Service(name="pod", kind=ServiceKind.HTTP, instances=(pod,), operations=(_page("pod"),)),
        Service(name="box", kind=ServiceKind.HTTP, instances=(box,), operations=(_page("box"),)),
        Service(name="cloud", kind=ServiceKind.HTTP, instances=(machine,), operations=(_page("cloud"),)),
        Service(name="spread", kind=ServiceKind.HTTP, instances=zones, operations=(_page("spread"),)),
    )
    line = ManagedProxy(control="/run/proxy.sock", edge="named->tips")
    edges = (
        edge("front", "gate"),
        edge("gate", "app"),
        edge("app", "db", "postgresql"),
        edge("app", "cache", "redis"),
        edge("app", "tips"),
        edge("app", "queue", "tcp"),
        Dependency(caller="app", callee="pods", protocol="http"),
        Dependency(caller="app", callee="pod", protocol="http"),
        edge("app", "named"),
        Dependency(caller="named", callee="tips", protocol="http", host="tips.internal", interception=line),
    )
    return System(name="city", services=services, dependencies=edges)


def _page(name: str) -> Any:
    return check(f"{name}-page", name, critical=True, exercises=())


def proposals(system: System) -> list[Proposal]:
    brief = Brief(system=system)
    return [proposal for expert in council() for proposal in expert.propose(brief)]


@pytest.fixture(scope="module")
def kinds() -> dict[str, str]:
    """Kinds that became an experiment which the rules let pass, with the first such experiment's title."""
    system = city()
    found = compile_candidates(proposals(system), (), Brief(system=system), limits=ALL, weights={})
    kept = [experiment for experiment in found.experiments if not rehearse(experiment, system, ALL)]
    return {action.fault.kind: experiment.title for experiment in reversed(kept) for action in experiment.actions}


@pytest.mark.parametrize("kind", sorted(spec.named() for spec in SPECS))
def test_each_kind_is_proposed_with_a_hypothesis_that_can_be_judged(kind: str, kinds: dict[str, str]) -> None:
    if kind in NOBODY:
        assert kind not in kinds, "somebody proposes it by now: take it off the list"
    else:
        assert kind in kinds, f"nobody proposes {kind}, or no recipe judges it"


def test_the_list_of_what_nobody_proposes_is_short_and_gives_reasons() -> None:
    known = {spec.named() for spec in SPECS}
    assert set(NOBODY) <= known
    assert len(NOBODY) <= len(known) // 8
    assert all(len(reason) > 20 for reason in NOBODY.values())


def test_what_a_place_lacks_is_not_proposed_there() -> None:
    """The same services without what the faults work on: no driver, queue, directory, control or zone to speak of."""
    bare = tuple(
        Service(
            **{
                **dict(each),
                "dsn": None,
                "admin_dsn": None,
                "queues": (),
                "directories": (),
                "control": None,
                "instances": tuple(ProcessInstance(id=instance.id, command=instance.id) for instance in each.instances),
            }
        )
        for each in city().services
    )
    found = {proposal.fault.kind for proposal in proposals(System(**{**dict(city()), "services": bare}))}
    absent = {kind for kind in found if kind.startswith(("data.", "infrastructure."))} - {"data.slow_query"}
    assert absent == set(), "these need something that is not there"
    assert not found & {"resource.disk_fill", "resource.disk_readonly", "resource.io_error", "resource.io_throttle"}


def test_a_zone_is_lost_with_all_that_the_service_has_in_it() -> None:
    lost = [p for p in proposals(city()) if p.fault.kind == "infrastructure.zone"]
    assert [p.target for p in lost] == [InstanceTarget(service="spread", ids=(f"spread-{zone}",)) for zone in "ab"]


def test_what_the_machine_would_share_is_not_tried_under_tight_limits() -> None:
    """A fault that reaches a whole machine passes the rules where that is allowed, and else is left out, with why."""
    system = city()
    boxed = tuple(
        Service(
            **{
                **dict(each),
                "instances": tuple(
                    type(i).model_validate({**i.model_dump(), "machine": "box"}) for i in each.instances
                ),
            }
        )
        for each in system.services
    )
    shared = System(**{**dict(system), "services": boxed})
    found = compile_candidates(proposals(shared), (), Brief(system=shared), limits=Limits(), weights={})
    burns = [e for e in found.experiments if e.actions[0].fault.kind == "resource.cpu"]
    assert burns
    for experiment in burns:
        assert any("instances at once" in reason for reason in rehearse(experiment, shared, Limits()))
        assert not rehearse(experiment, shared, ALL)
