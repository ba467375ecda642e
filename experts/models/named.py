"""What of a fault a model may choose freely: numbers, words of a closed list, and names that the system itself has.

An address, a path, a role or a file that somebody's text has put into a model's mouth would lead a service's requests
to a stranger, or the fault past its target. Such a value is the fault's own default, or one that the system names.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from executor.model.faults import Fault
from executor.model.plan import Target
from executor.model.probe import READING, HttpProbe
from executor.model.system import Service
from experts.allowed import struck
from experts.view import View

_WITHIN: Final = frozenset({"pattern", "files", "column"})
"""These choose within what the other parameters name, and cannot lead out of it."""
_REQUESTS: Final = ("service.error", "service.timeout", "service.corrupt_response")
"""Their path is a glob over requests that pass over the edge anyway."""


def unnamed(fault: Fault, target: Target, view: View) -> str:
    """Why a model may not choose this fault, in a sentence: a text in it that nobody has named; empty: there is none.

    Of a value in a file of settings, any text at all: it may be an address.
    """
    services = [service for name in struck(target) if (service := view.service(name))]
    for name, field in type(fault).model_fields.items():
        value = getattr(fault, name)
        if value == field.get_default() or _free(fault, name) or _closed(field.annotation):
            continue
        known = {each for service in services for each in _names(fault, name, service)}
        for text in value if isinstance(value, tuple) else (value,):
            if isinstance(text, str) and text not in known:
                return f"the system names no {name} {text[:60]!r}, so only a person may choose that for {fault.kind}"
    return ""


def _free(fault: Fault, parameter: str) -> bool:
    if parameter == "path":
        return fault.kind in _REQUESTS
    return parameter in _WITHIN or (parameter == "key" and fault.kind == "infrastructure.config")


def _names(fault: Fault, parameter: str, service: Service) -> Iterator[str]:
    """What the system calls such a thing at this service."""
    if parameter == "path" and fault.kind == "service.overload":
        probes = (check.probe for check in service.operations)
        yield from (p.asks_for for p in probes if isinstance(p, HttpProbe) and p.method in READING)
    elif parameter == "path":
        yield from service.directories
    elif parameter in ("table", "tables"):
        yield from service.tables
        for check in service.operations:
            yield from check.tables
    elif parameter == "queue":
        yield from service.queues
    elif parameter == "file":
        yield from (file.path for file in service.config)
    elif parameter == "zone":
        yield from (instance.zone for instance in service.instances if instance.zone)


def _closed(annotation: Any) -> bool:
    """Whether every text that fits is one of a list."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _closed(inner[0])
    if origin in (Union, UnionType, tuple):
        return all(_closed(each) for each in inner)
    return origin is Literal or annotation in (NoneType, Ellipsis, bool, int, float)
