"""Services under other names, everywhere that a system speaks of them."""

from __future__ import annotations

from collections.abc import Mapping

from executor.model.probe import Check, DetectionSignal
from executor.model.system import Dependency, Instance, Service, System


def renamed(system: System, names: Mapping[str, str]) -> System:
    """``names`` maps old to new; ids of instances that begin with the old name follow.

    Raises ``pydantic.ValidationError`` if two services end up with one name.
    """
    return System(
        name=system.name,
        environment=system.environment,
        services=tuple(_service(service, names) for service in system.services),
        dependencies=tuple(sorted((_edge(edge, names) for edge in system.dependencies), key=lambda edge: edge.place)),
    )


def _service(service: Service, names: Mapping[str, str]) -> Service:
    name = names.get(service.name, service.name)
    fields = {key: getattr(service, key) for key in Service.model_fields}
    fields["name"] = name
    fields["instances"] = tuple(_instance(instance, service.name, name) for instance in service.instances)
    fields["operations"] = tuple(_check(check, names) for check in service.operations)
    fields["signals"] = tuple(
        DetectionSignal(id=signal.id, service=names.get(signal.service, signal.service), probe=signal.probe)
        for signal in service.signals
    )
    return Service(**fields)


def _instance(instance: Instance, old: str, new: str) -> Instance:
    fields = {key: getattr(instance, key) for key in type(instance).model_fields}
    if instance.id.startswith(f"{old[:56]}-"):
        fields["id"] = new[:56] + instance.id[len(old[:56]) :]
    return type(instance)(**fields)


def _check(check: Check, names: Mapping[str, str]) -> Check:
    fields = {key: getattr(check, key) for key in Check.model_fields}
    fields["service"] = names.get(check.service, check.service)
    if check.needs is not None:
        fields["needs"] = tuple(names.get(name, name) for name in check.needs)
    if check.exercises is not None:
        fields["exercises"] = tuple(_place(place, names) for place in check.exercises)
    return Check(**fields)


def _place(place: str, names: Mapping[str, str]) -> str:
    return "->".join(names.get(name, name) for name in place.split("->"))


def _edge(edge: Dependency, names: Mapping[str, str]) -> Dependency:
    fields = {key: getattr(edge, key) for key in Dependency.model_fields}
    fields["caller"] = names.get(edge.caller, edge.caller)
    fields["callee"] = names.get(edge.callee, edge.callee)
    fields["source"] = tuple(
        line.replace(f"socket {edge.caller} -> ", f"socket {fields['caller']} -> ", 1) for line in edge.source
    )
    return Dependency(**fields)
