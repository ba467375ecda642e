"""How far each kind of fault reaches, and that whatever shares that with its target counts as struck."""

from __future__ import annotations

from typing import Any

import pytest

from executor.model.faults import SPECS, FaultSpec
from executor.model.faults.infrastructure import LoadBalancer
from executor.model.faults.kubernetes import Node
from executor.model.faults.resource import Cpu
from executor.model.plan import InstanceTarget
from executor.model.system import (
    Backup,
    ConfigFile,
    Ec2Instance,
    ManagedProxy,
    ProcessInstance,
    Service,
    SshInstance,
    System,
)
from executor.model.vocabulary import Environment, Scope
from executor.safety.limits import BlastRadius, Limits
from executor.safety.reach import reach_of
from executor.safety.rules import refusals
from executor.safety.touch import by
from tests.executor.safety.examples import act, edge, experiment, hang, plan, service, slow, system

ALL = Limits(blast_radius=BlastRadius(instances_percent=100, services_percent=100, traffic_percent=100))
SHARED = {Scope.MACHINE, Scope.SERVER, Scope.SETTINGS, Scope.VOLUME, Scope.DIRECTORY, Scope.MEMBER, Scope.MEMBERS}
"""What two services of ``town`` share as its description says; a network shows only when it is looked at."""
GIVEN: dict[str, dict[str, Any]] = {
    "infrastructure.zone": {"zone": "a"},
    "infrastructure.storage": {"how": "read_only", "path": "/srv/data"},
    "infrastructure.secret": {"secret": "login", "key": "password"},
    "infrastructure.node": {"how": "drain", "pods": "node"},
}
"""Parameters of kinds that no service suggests any for, or of which the usual ones reach less far than they may."""


def placed(name: str, machine: str | None = "box", **more: Any) -> Service:
    return Service(
        name=name, instances=(ProcessInstance(id=f"{name}-1", command=f"never-{name}", machine=machine),), **more
    )


def town(**more: Any) -> System:
    """``struck`` and ``beside`` share all that a description can say; ``apart`` calls, and shares nothing."""
    backup = Backup(path="/backup", verify_command=("true",))
    shared: dict[str, Any] = {
        "dsn": "env:TOWN",
        "disposable": True,
        "backup": backup,
        "config": (ConfigFile(path="/etc/town.json", format="json"),),
        "directories": ("/srv/data",),
        "tables": ("orders",),
        "queues": ("orders",),
    }
    services = (placed("struck", **shared), placed("beside", **shared, **more), placed("apart", None))
    return system(*services, edges=[edge("apart", "struck"), edge("struck", "beside")])


def of(spec: type[FaultSpec], town: System) -> FaultSpec:
    fault = spec(**GIVEN[spec.named()]) if spec.named() in GIVEN else spec.typical(town.service("struck"))
    assert fault is not None, f"{spec.named()}: nothing fits; add parameters above"
    return fault


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.named())
def test_every_kind_declares_how_far_it_reaches(spec: type[FaultSpec]) -> None:
    assert not hasattr(FaultSpec, "scope"), "there is no reach that would do for all"
    scope = getattr(spec, "scope", ())
    assert scope, f"{spec.named()} declares no scope"
    assert all(isinstance(each, Scope) for each in scope)
    assert (Scope.CALLERS in scope) == (spec.target_kind != "instances"), "an edge's fault strikes its callers"


@pytest.mark.parametrize(
    "spec", [spec for spec in SPECS if spec.target_kind == "instances"], ids=lambda spec: spec.named()
)
def test_a_protected_service_that_shares_what_it_reaches_keeps_it_from_being_planned(spec: type[FaultSpec]) -> None:
    here = town(protected=True)
    fault = of(spec, here)
    found = refusals(plan(here, act(fault, InstanceTarget(service="struck"), "it")), here, ALL)
    refused = [refusal for refusal in found if refusal.rule == "protected services"]
    assert bool(refused) == bool(SHARED & {*fault.reaches()})
    if refused:
        assert f"strikes beside too ({spec.named()} reaches all of its" in str(refused[0])
        assert "never beside" in str(refused[0])


def test_what_it_reaches_counts_in_every_measure() -> None:
    here = town()
    burn = plan(here, act(Cpu(load_percent=90), InstanceTarget(service="struck"), "burn"))
    reach = reach_of(burn, here)
    assert (reach.instances, reach.services, reach.faults) == (2, 2, 1)
    assert reach.targets == ("beside-1", "struck-1")
    assert reach.struck == ("beside", "struck")
    found = [refusal.measured for refusal in refusals(burn, here, Limits()) if refusal.rule == "blast radius"]
    touches = "stage 1 touches"
    assert found == [
        f"{touches} 2 instances at once",
        f"{touches} 2 services at once",
        f"{touches} 100 % of what users do at once",
    ]


def test_one_instance_with_neighbours_is_more_than_one() -> None:
    """That a single fault is always allowed is no way round the limits for one that strikes several."""
    whole = (ProcessInstance(id=f"web-{n}", command=f"never-{n}", machine="box") for n in range(2))
    here = system(Service(name="web", instances=tuple(whole)), service("other", 8))
    burn = plan(here, act(Cpu(load_percent=90), InstanceTarget(service="web"), "burn"))
    assert any("touches 2 instances" in str(refusal) for refusal in refusals(burn, here, Limits()))
    assert not [r for r in refusals(plan(here, hang("web")), here, Limits()) if "instances" in str(r)]


def test_a_critical_neighbour_counts_in_production() -> None:
    here = town(criticality=3)
    here = System(**{**dict(here), "environment": Environment.PRODUCTION})
    limits = Limits(**{**dict(ALL), "environments": (Environment.PRODUCTION,)})
    burn = plan(here, act(Cpu(load_percent=90), InstanceTarget(service="struck"), "burn"))
    assert any(
        "strikes beside too (resource.cpu reaches all of its machine), whose criticality is 3" in str(refusal)
        for refusal in refusals(burn, here, limits)
    )


def test_two_faults_that_meet_on_a_neighbour_overlap() -> None:
    here = town()
    both = act(Cpu(load_percent=90), InstanceTarget(service="struck"), "burn"), hang("beside")
    found = [str(r) for r in refusals(plan(here, experiment(*both)), here, ALL) if r.rule == "overlapping targets"]
    assert found
    assert "actions burn and hang-beside strike beside-1 at once" in found[0]


def test_what_runs_on_a_machine_goes_with_it() -> None:
    """An instance may be the machine of others, and they of others again."""
    machine = Ec2Instance(id="box-1", instance="i-0123456789abcdef0", region="eu-west-1")
    here = system(
        Service(name="box", instances=(machine,)),
        placed("web", "box-1"),
        placed("in-web", "web-1"),
        Service(name="far", instances=(SshInstance(id="far-1", host="web-1", command="never"),)),
        placed("apart", None),
    )
    assert by(hang("box"), here).instances == {"box-1", "web-1", "in-web-1"}
    burn = act(Cpu(load_percent=90), InstanceTarget(service="web"), "burn")
    assert by(burn, here).instances == {"box-1", "web-1", "in-web-1", "far-1"}
    assert by(hang("apart"), here).instances == {"apart-1"}


def test_a_balancer_that_leaves_all_out_takes_all_that_is_behind_it() -> None:
    here = system(service("gate", 2), service("web", 3), edges=[edge("gate", "web")])
    target = InstanceTarget(service="gate")
    one, everything = LoadBalancer(), LoadBalancer(how="all_down")
    assert by(act(one, target, "one"), here).instances == {"gate-1", "gate-2", "web-1"}
    assert by(act(everything, target, "all"), here).instances == {"gate-1", "gate-2", "web-1", "web-2", "web-3"}


def test_how_far_a_node_reaches_is_said_by_its_parameters() -> None:
    assert Node(how="drain").reaches() == (Scope.SERVICE,)
    assert Node(how="drain", pods="node").reaches() == (Scope.SERVICE, Scope.MACHINE)
    assert Node(how="taint", effect="NoExecute", pods="node").reaches() == (Scope.SERVICE, Scope.MACHINE)
    assert Node(how="cordon", pods="node").reaches() == (Scope.TARGET,)


def test_callers_that_share_a_line_of_the_proxy_are_struck_together() -> None:
    line = ManagedProxy(control="/run/proxy.sock", edge="one")
    edges = [edge("a", "c", interception=line), edge("b", "c", interception=line), edge("b", "a")]
    here = system(service("a"), service("b"), service("c"), edges=edges)
    touched = by(slow("a", "c"), here)
    assert (touched.services, touched.edges) == ({"a", "b"}, {"a->c", "b->c"})
    assert by(slow("b", "a"), here).services == {"b"}
