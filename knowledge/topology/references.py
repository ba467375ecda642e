"""Names within a system that must mean something in it: what checks and signals speak of, and edges they cross."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator

from executor.errors import InputError
from executor.model.system import System


def refuse_unknown(system: System, where: str) -> None:
    """Raise ``InputError`` for the first check or signal that names a service or edge which the system has not."""
    services = [service.name for service in system.services]
    edges = [edge.place for edge in system.dependencies]
    instances = [instance.id for service in system.services for instance in service.instances]
    for place, kind, name in _named(system):
        known = {"edge": edges, "instance": instances, "service": services}[kind]
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {near[0]}? " if near else ""
            raise InputError(
                f"{place}: no {kind} is named {name}.", where=where, hint=f"{hint}Known: {', '.join(sorted(known))}."
            )


def _named(system: System) -> Iterator[tuple[str, str, str]]:
    for service in system.services:
        for check in service.operations:
            at = f"services.{service.name}.operations.{check.id}"
            yield f"{at}.service", "service", check.service
            yield from _each(f"{at}.needs", "service", check.needs or ())
            yield from _each(f"{at}.exercises", "edge", check.exercises or ())
        for signal in service.signals:
            yield f"services.{service.name}.signals.{signal.id}.service", "service", signal.service
            at = f"services.{service.name}.signals.{signal.id}.instance"
            yield from _each(at, "instance", (signal.instance,) if signal.instance else ())
        for data_check in service.data_checks:
            yield f"services.{service.name}.data_checks.{data_check.id}.service", "service", data_check.service


def _each(place: str, kind: str, names: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    for name in names:
        yield place, kind, name
