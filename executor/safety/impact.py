"""What a plan is predicted to do to users, from who calls whom: the traffic it touches, and whom it hurts indirectly.

A prediction may say too much, never too little, as far as the topology is known: shares that meet are added, an
operation of which nobody knows which edges it uses is taken to use all that it can reach, and where no operation is
known every service that nobody calls stands for one. See docs/decisions/predicted-impact.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from executor.model.plan import Action, InstanceTarget
from executor.model.system import Dependency, System
from executor.safety.touch import Also, by

SHIELDED = 0.1
"""What a caller with a known fallback still feels of the loss of its dependency, 0-1."""


@dataclass(frozen=True)
class Struck:
    """How much of what each service and edge carries a set of faults takes away, as shares 0-1."""

    services: dict[str, float]
    edges: dict[str, float]


def struck(actions: Iterable[Action], system: System, also: Also | None = None) -> Struck:
    """What the actions take away together: k of n instances take k/n, a fault that spares some calls takes the others.

    What shares a machine, a volume or the like with what is named is taken away with it (``touch``). Raises
    ``InputError`` for a target that the system does not have.
    """
    ids: set[str] = set()
    edges: dict[str, float] = {}
    for action in actions:
        touched = by(action, system, also)
        if isinstance(action.target, InstanceTarget):
            ids |= touched.instances
            continue
        for place in touched.edges:
            edges[place] = min(1.0, edges.get(place, 0.0) + float(getattr(action.fault, "probability", 1)))
    lost = {s.name: sum(i.id in ids for i in s.instances) / len(s.instances) for s in system.services if s.instances}
    return Struck({name: share for name, share in lost.items() if share}, edges)


def traffic_percent(actions: Iterable[Action], system: System, also: Also | None = None) -> float:
    """Share of what users do that passes over what the actions take away, percent; each operation by its weight."""
    lost = struck(actions, system, also)
    operations = [check for service in system.services for check in service.operations]
    above = _above(lost, system)
    met = [(check.weight, _met(check.service, check.exercises, lost, above)) for check in operations]
    met = met or [(1.0, _met(name, None, lost, above)) for name in _entries(system)]
    return 100 * sum(weight * share for weight, share in met) / sum(weight for weight, _ in met)


def indirect(actions: Iterable[Action], name: str, system: System, also: Also | None = None) -> float:
    """Share of its work that a service is predicted to lose, 0-1, as losses spread from callee to caller.

    What strikes the service itself is left out: another rule forbids that. Of the loss of a dependency that a caller
    has a known fallback for, only ``SHIELDED`` spreads on; the instances that are left serve on.
    """
    lost, felt = struck(actions, system, also), _felt(name, system)
    services = sum(share * felt.get(each, 0.0) for each, share in lost.services.items() if each != name)
    edges = sum(
        lost.edges.get(edge.place, 0.0) * felt.get(edge.caller, 0.0) * _spreads(edge)
        for edge in system.dependencies
        if edge.caller != name
    )
    return min(1.0, services + edges)


def _above(lost: Struck, system: System) -> dict[str, set[str]]:
    """Of each service that is lost, and of the caller of each lost edge: itself and all that can reach it.

    Looked up from what is struck, which is little, and not from each operation: a system may have thousands.
    """
    callers: dict[str, list[str]] = {}
    for edge in system.dependencies:
        callers.setdefault(edge.callee, []).append(edge.caller)
    found: dict[str, set[str]] = {}
    for name in {*lost.services, *map(_caller, lost.edges)}:
        found[name], open_ends = {name}, [name]
        while open_ends:
            new = set(callers.get(open_ends.pop(), ())) - found[name]
            found[name] |= new
            open_ends += new
    return found


def _met(service: str, exercises: tuple[str, ...] | None, lost: Struck, above: Mapping[str, set[str]]) -> float:
    """How much of what an operation passes over is lost: the edges it was seen to use, or else all it can reach."""
    if exercises is None:
        services = sum(share for name, share in lost.services.items() if service in above[name])
        return min(1.0, services + sum(s for place, s in lost.edges.items() if service in above[_caller(place)]))
    ends = {service, *(end for place in exercises for end in place.split("->"))}
    services = sum(share for name, share in lost.services.items() if name in ends)
    return min(1.0, services + sum(share for place, share in lost.edges.items() if place in exercises))


def _caller(place: str) -> str:
    return place.partition("->")[0]


def _calls(system: System) -> Mapping[str, list[Dependency]]:
    calls: dict[str, list[Dependency]] = {}
    for edge in system.dependencies:
        calls.setdefault(edge.caller, []).append(edge)
    return calls


def _felt(name: str, system: System) -> dict[str, float]:
    """How much of the loss of each service that it can reach a service feels, 0-1, along the way that spreads most."""
    felt, open_ends, calls = {name: 1.0}, [name], _calls(system)
    while open_ends:
        caller = open_ends.pop()
        for edge in calls.get(caller, ()):
            share = felt[caller] * _spreads(edge)
            if share > felt.get(edge.callee, 0.0):
                felt[edge.callee] = share
                open_ends.append(edge.callee)
    return felt


def _spreads(edge: Dependency) -> float:
    return SHIELDED if edge.fallback else 1.0


def _entries(system: System) -> list[str]:
    """Services that nobody calls; all of them where each is called by another."""
    called = {edge.callee for edge in system.dependencies}
    names = [service.name for service in system.services]
    return [name for name in names if name not in called] or names
