"""From a plan's selectors to what they mean right now."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from executor.clock import start_ticks
from executor.drivers.driver import driver
from executor.drivers.targets import EdgeTargets, ProcessTarget, Resolved, ResolvedInstance
from executor.errors import InputError, UnavailableError
from executor.kernel import locate
from executor.model.plan import EdgeTarget, GroupsTarget, InstanceTarget, Target
from executor.model.system import Dependency, Instance, Service, System


def resolve(target: Target, system: System) -> tuple[Resolved, ...]:
    """Each chosen instance as its driver finds it, or one ``EdgeTargets`` for the edges meant.

    Raises ``InputError`` if the system has no such service or edge, ``UnavailableError`` if an instance is not there.
    """
    if isinstance(target, InstanceTarget):
        service = _service(system, target.service)
        instances = {instance.id: instance for instance in service.instances}
        return tuple(found(service, instances[name]) for name in chosen(target, service))
    edges = tuple(edges_of(target, system))
    if not edges:
        raise InputError("the system knows no edge between the groups.", where=_name(target))
    callers = {edge.caller: _callers(system, edge.caller) for edge in edges}
    first = frozenset(target.a) if isinstance(target, GroupsTarget) else frozenset()
    return (EdgeTargets(edges, callers, first),)


def edges_of(target: EdgeTarget | GroupsTarget, system: System) -> list[Dependency]:
    """The edges a selector means. Raises ``InputError`` for a service or a single edge that the system has not."""
    if isinstance(target, EdgeTarget):
        try:
            return [system.dependency(target.caller, target.callee)]
        except KeyError:
            raise InputError("the system has no such edge.", where=_name(target)) from None
    a, b = ({_service(system, name).name for name in group} for group in (target.a, target.b))
    return [d for d in system.dependencies if (d.caller in a and d.callee in b) or (d.caller in b and d.callee in a)]


def _name(target: EdgeTarget | GroupsTarget) -> str:
    if isinstance(target, EdgeTarget):
        return f"{target.caller}->{target.callee}"
    return f"{','.join(target.a)} | {','.join(target.b)}"


def _service(system: System, name: str) -> Service:
    try:
        return system.service(name)
    except KeyError:
        raise InputError("the system has no such service.", where=name) from None


def chosen(target: InstanceTarget, service: Service) -> list[str]:
    """Ids of the instances a selector means. Raises ``InputError`` if the service has no such, or not so many."""
    known = sorted(instance.id for instance in service.instances)
    if target.ids:
        if unknown := sorted(set(target.ids) - set(known)):
            raise InputError(f"has no instance {', '.join(unknown)}; it has {', '.join(known)}.", where=service.name)
        return sorted(set(target.ids))
    if target.count > len(known):
        raise InputError(f"has {len(known)} instances, and {target.count} are asked for.", where=service.name)
    return known[: target.count]


def found(service: Service, instance: Instance) -> ResolvedInstance:
    """An instance as it is right now. Raises ``UnavailableError`` if it is not there."""
    return driver(instance.driver).find(service, instance)


def everyone(system: System) -> list[ResolvedInstance]:
    """Every instance that is there, and all processes that fit where it is not clear which one is meant."""
    there: list[ResolvedInstance] = []
    for service in system.services:
        for instance in service.instances:
            try:
                there.append(found(service, instance))
            except UnavailableError:
                if instance.driver == "process" and getattr(instance, "pid", None) is None:
                    there += _fitting(service, instance)
    return there


def _fitting(service: Service, instance: Any) -> Iterator[ProcessTarget]:
    for pid in locate.heads_of(instance):
        ticks = start_ticks(pid)
        if ticks is not None:
            yield ProcessTarget(service, instance.id, pid, ticks, instance.port, instance.command)


def _callers(system: System, name: str) -> tuple[ProcessTarget, ...]:
    """The caller's processes that are there; a caller that is down has none, and its edge can still be struck."""
    service = _service(system, name)
    there: list[ProcessTarget] = []
    for instance in service.instances:
        try:
            target = found(service, instance)
        except UnavailableError:
            continue
        if isinstance(target, ProcessTarget):
            there.append(target)
    return tuple(there)
