"""What only the operator knows (names, criticality, operations, health), and ``system.yaml`` itself."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar, cast

import yaml
from pydantic import Field, ValidationError, create_model

from executor.errors import InputError
from executor.model.base import Contract, Name
from executor.model.system import Dependency, Service, System
from executor.model.vocabulary import Environment
from knowledge.topology import files
from knowledge.topology.matching import CommandOf, Match, command_line, meant
from knowledge.topology.references import refuse_unknown
from knowledge.topology.rename import renamed

ORIGIN = "the operator's annotations"
_TAGS = ("kind", "driver")
Noted = TypeVar("Noted", Service, Dependency)


class _Note(Contract):
    """About one service; without ``match`` the discovered one of that name is meant."""

    match: Match | None = None


_FIELDS = {name: (field.annotation, field) for name, field in Service.model_fields.items() if name != "name"}
ServiceNote = create_model("ServiceNote", __base__=_Note, **cast("dict[str, Any]", _FIELDS))
"""A ``_Note`` with the fields of a service in ``system.yaml``, each of them optional."""


class SystemNote(Contract):
    """About the system as a whole."""

    name: Name | None = None
    environment: Environment | None = None


class Annotations(Contract):
    """The operator's file: services by the name they shall have, and edges by the wanted names of their ends."""

    system: SystemNote = SystemNote()
    services: dict[Name, ServiceNote] = Field(default_factory=dict)
    dependencies: tuple[Dependency, ...] = ()
    """Fields to set on edges; an edge that was not discovered is added."""


def load_annotations(path: Path) -> Annotations:
    """The operator's file. Raises ``InputError`` naming line, field, and what is allowed there."""
    return files.read(path, Annotations)


def annotate(system: System, annotations: Annotations, command_of: CommandOf = command_line) -> System:
    """The system with the operator's names and fields; what the operator says wins over what was discovered.

    ``command_of`` gives an instance's whole command line; by default it is read from the running process.

    Raises ``InputError`` for an annotation that fits no service or several, that gives a service another's name, or
    that speaks of something the system has not.
    """
    notes = {name: cast("_Note", note) for name, note in annotations.services.items()}
    system = renamed(system, meant(system, {name: note.match for name, note in notes.items()}, command_of))
    try:
        result = System(
            name=annotations.system.name or system.name,
            environment=annotations.system.environment or system.environment,
            services=tuple(_service(service, notes.get(service.name)) for service in system.services),
            dependencies=_edges(system, annotations.dependencies),
        )
    except ValidationError as error:
        raise InputError(f"{error.errors()[0]['msg'].removeprefix('Value error, ')}.", where="annotations") from None
    refuse_unknown(result, "annotations")
    return result


def load_system(path: Path) -> System:
    """``system.yaml``. Raises ``InputError`` naming line, field, and what is allowed there."""
    system = files.read(path, System, absent="murphy discover writes it.")
    refuse_unknown(system, str(path))
    return system


def save_system(system: System, path: Path) -> None:
    """Write ``system.yaml`` whole or not at all; fields that say nothing beyond their default are left out.

    Raises ``InputError`` if the file cannot be written.
    """
    data = _tagged(system.model_dump(mode="json", exclude_defaults=True), system.model_dump(mode="json"))
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=120, default_flow_style=None)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise InputError(f"cannot be written: {error.strerror}.", where=str(path)) from None


def _tagged(short: Any, whole: Any) -> Any:
    """``short`` with the tags of unions put back, which are defaults too, and without which nothing can be read."""
    if isinstance(whole, dict):
        return {key: _tagged(short.get(key, whole[key]), whole[key]) for key in whole if key in short or key in _TAGS}
    if isinstance(whole, list):
        return [_tagged(*pair) for pair in zip(short, whole, strict=True)]
    return short


def _service(service: Service, note: _Note | None) -> Service:
    return service if note is None else _with(service, note, {"match"})


def _edges(system: System, notes: tuple[Dependency, ...]) -> tuple[Dependency, ...]:
    edges = {edge.place: edge for edge in system.dependencies}
    for note in notes:
        known = edges.get(note.place, Dependency(caller=note.caller, callee=note.callee))
        origins = dict.fromkeys((*known.source, *note.source, ORIGIN))
        edges[note.place] = _with(
            _with(known, note, {"source"}),
            Dependency(caller=note.caller, callee=note.callee, source=tuple(origins)),
            set(),
        )
    return tuple(edges[place] for place in sorted(edges))


def _with(base: Noted, note: Contract, leave_out: set[str]) -> Noted:
    """``base`` with the fields that ``note`` sets, validated anew."""
    fields = {name: getattr(base, name) for name in type(base).model_fields}
    told = {name: getattr(note, name) for name in note.model_fields_set - leave_out}
    return type(base)(**{**fields, **told})
