"""What an experiment's actions strike, as shares of services and of edges, as if all were there at once."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from executor.model.faults import Fault
from executor.model.plan import Action, Experiment, InstanceTarget
from executor.model.system import Dependency, Service
from executor.model.vocabulary import FaultType
from executor.safety.touch import by
from knowledge.twin.manner import Manner, manner
from knowledge.twin.topology import Topology

GONE = frozenset({FaultType.DEAD, FaultType.STOPPED})


@dataclass(frozen=True)
class Blow:
    """One action as one service feels it."""

    manner: Manner
    share: float
    """Of its instances, above 0 and at most 1."""
    left: int
    """Instances that are left to serve."""
    returns: bool
    """Whether somebody starts what died again while the fault lasts."""
    table: str = ""
    """Which table is locked; empty: none, or not one alone."""


@dataclass
class Blows:
    """Every action, by what it strikes: the numbers of services and of edges."""

    services: dict[int, list[Blow]] = field(default_factory=dict)
    edges: dict[int, list[Manner]] = field(default_factory=dict)
    types: tuple[str, ...] = ()


def blows(experiment: Experiment, topology: Topology) -> Blows:
    """Take the actions apart. Raises ``InputError`` for a target that the system does not have."""
    found = Blows(types=tuple(sorted({action.fault.looks().value for action in experiment.actions})))
    for action in experiment.actions:
        done = manner(action.fault)
        if not isinstance(action.target, InstanceTarget):
            for place in by(action, topology.system).edges:
                found.edges.setdefault(topology.edge_index[place], []).append(done)
        elif done.type is FaultType.UNRESOLVED:
            for number in _looked_up(topology.index[action.target.service], topology):
                found.edges.setdefault(number, []).append(_look_ups(done, action.fault))
        else:
            for number, blow in _on_services(action, done, topology):
                found.services.setdefault(number, []).append(blow)
    return found


def _on_services(action: Action, done: Manner, topology: Topology) -> Iterator[tuple[int, Blow]]:
    assert isinstance(action.target, InstanceTarget)
    touched = by(action, topology.system)
    for name in sorted(touched.services):
        number = topology.index[name]
        service = topology.system.services[number]
        struck = sum(instance.id in touched.instances for instance in service.instances)
        share = struck / len(service.instances) if service.instances else 1.0
        if share > 0:
            left = len(service.instances) - struck
            yield number, Blow(done, share, left, _returns(action.fault, service), getattr(action.fault, "table", ""))


def _returns(fault: Fault, service: Service) -> bool:
    if fault.looks() not in GONE or fault.kind == "service.restart_loop":
        return False
    if fault.kind == "infrastructure.container":
        return getattr(fault, "how", "") == "restart"  # an engine that was asked to end it leaves it so
    return service.restarts == "supervised" and getattr(fault, "restart", "supervisor") == "supervisor"


def _looked_up(service: int, topology: Topology) -> list[int]:
    """The edges of a caller that it finds by a name."""
    return [number for number in topology.edges_out[service] if _named(topology.system.dependencies[number])]


def _named(edge: Dependency) -> bool:
    try:
        ipaddress.ip_address(edge.host)
    except ValueError:
        return edge.host != "localhost"
    return False


def _look_ups(done: Manner, fault: Fault) -> Manner:
    mode = getattr(fault, "mode", "")
    if mode == "slow":
        return replace(done, error=0.0, delay_ms=float(getattr(fault, "delay_ms", 0.0)))
    return replace(done, error=0.0, silent=1.0) if mode in ("timeout", "wrong_address") else done
