"""Services under other names, everywhere that a system speaks of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from executor.model.data_check import DataCheck
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
    fields["signals"] = tuple(DetectionSignal(**_of(signal, names, service.name, name)) for signal in service.signals)
    fields["data_checks"] = tuple(DataCheck(**_of(check, names, service.name, name)) for check in service.data_checks)
    return Service(**fields)


def _of(said: DetectionSignal | DataCheck, names: Mapping[str, str], old: str, new: str) -> dict[str, Any]:
    fields = {**dict(said), "service": names.get(said.service, said.service)}
    if isinstance(said, DetectionSignal) and said.instance is not None:
        fields["instance"] = _id(said.instance, old, new)
    return fields


def _instance(instance: Instance, old: str, new: str) -> Instance:
    fields = {key: getattr(instance, key) for key in type(instance).model_fields}
    fields["id"] = _id(instance.id, old, new)
    return type(instance)(**fields)


def _id(instance: str, old: str, new: str) -> str:
    return new[:56] + instance[len(old[:56]) :] if instance.startswith(f"{old[:56]}-") else instance


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
