"""What one action touches, as far as the system's own description tells, and what was seen to share its place.

A fault on instances touches those instances, their services, and whatever shares with them what the fault reaches
(``executor.model.vocabulary.Scope``; each spec says how far it does). A fault on an edge touches its *caller*: every
instance of it loses the dependency, while the callee keeps serving its other callers. A partition touches the caller of
every edge that it cuts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath

from executor.drivers.resolve import chosen, edges_of
from executor.errors import InputError
from executor.model.plan import Action, EdgeTarget, GroupsTarget, InstanceTarget
from executor.model.system import Dependency, Instance, ManagedProxy, Service, SshInstance, System
from executor.model.vocabulary import Scope

Also = Mapping[str, Collection[str]]
"""Instances that an action was seen to strike beside those it names, by action id."""


@dataclass(frozen=True)
class Touched:
    """What one action touches."""

    instances: frozenset[str]
    services: frozenset[str]
    edges: frozenset[str]
    faults: int
    """One for each instance struck, or one for all the edges together."""


def by(action: Action, system: System, also: Also | None = None) -> Touched:
    """What an action touches. Raises ``InputError`` if the system has no such service, instance or edge."""
    if isinstance(action.target, InstanceTarget):
        return _instances(action, action.target, system, (also or {}).get(action.id, ()))
    edges = _lines(action.target, system)
    callers = {edge.caller for edge in edges}
    ids = frozenset(instance.id for name in callers for instance in system.service(name).instances)
    return Touched(ids, frozenset(callers), frozenset(edge.place for edge in edges), 1)


def _instances(action: Action, target: InstanceTarget, system: System, also: Collection[str]) -> Touched:
    try:
        service = system.service(target.service)
    except KeyError:
        raise InputError("the system has no such service.", where=target.service) from None
    named = chosen(target, service)
    if Scope.SERVICE in action.fault.reaches():
        named = [instance.id for instance in service.instances]
    ids = {*named, *_sharing(action, service, named, system), *also}
    whose = {each.name for each in system.services if any(instance.id in ids for instance in each.instances)}
    return Touched(frozenset(ids), frozenset({service.name, *whose}), frozenset(), len(named))


def _lines(target: EdgeTarget | GroupsTarget, system: System) -> list[Dependency]:
    """The edges that are meant, and those that share a line of the fault proxy with one of them."""
    meant = edges_of(target, system)
    if not meant:
        raise InputError("the system knows no edge between the groups.", where=target.kind)
    places = {edge.place for edge in meant}
    lines = {edge.interception for edge in meant if isinstance(edge.interception, ManagedProxy)}
    return [edge for edge in system.dependencies if edge.place in places or edge.interception in lines]


def _sharing(action: Action, service: Service, named: Collection[str], system: System) -> Iterator[str]:
    """Instances of whatever service that share with the named ones what the fault reaches, as system.yaml says."""
    scopes = action.fault.reaches()
    every = [(owner, instance) for owner in system.services for instance in owner.instances]
    struck = [instance for _, instance in every if instance.id in named]
    yield from _within(named, [instance for _, instance in every])
    if Scope.MACHINE in scopes:
        on = set().union(*map(_machines, struck))
        yield from _within(on, [instance for _, instance in every])
        yield from (instance.id for _, instance in every if _machines(instance) & on)
    if Scope.MEMBER in scopes or Scope.MEMBERS in scopes:
        for edge in system.dependencies:
            if edge.caller == service.name:
                members = sorted(instance.id for instance in system.service(edge.callee).instances)
                yield from members if Scope.MEMBERS in scopes else members[:1]
    for owner, instance in every:
        if owner is not service and _share(scopes, action, service, owner):
            yield instance.id


def _within(names: Collection[str], every: Collection[Instance]) -> Iterator[str]:
    """What runs on machines that are themselves struck, however deep."""
    inside = [instance.id for instance in every if instance.machine in names and instance.id not in names]
    yield from inside
    if inside:
        yield from _within(inside, every)


def _machines(instance: Instance) -> set[str]:
    """What the machine that it runs on, or is, may be called."""
    host = instance.host if isinstance(instance, SshInstance) else None
    return {name for name in (instance.id, instance.machine, host) if name}


def _share(scopes: Collection[Scope], action: Action, one: Service, other: Service) -> bool:
    """Whether two services say that they share a server, a file of settings or a directory that the fault reaches."""
    if Scope.SERVER in scopes and {one.dsn, one.admin_dsn} & {other.dsn, other.admin_dsn} - {None}:
        return True
    if Scope.SETTINGS in scopes and _settings(one) & _settings(other):
        return True
    if Scope.VOLUME in scopes or Scope.DIRECTORY in scopes:
        path = PurePath(str(getattr(action.fault, "path", "")))
        return any(_nested(path, PurePath(directory)) for directory in other.directories)
    return False


def _settings(service: Service) -> set[str]:
    backup = service.backup
    kept = {backup.path, backup.credentials or backup.path} if backup else set()
    return {file.path for file in service.config} | kept


def _nested(one: PurePath, other: PurePath) -> bool:
    return one.is_relative_to(other) or other.is_relative_to(one)
