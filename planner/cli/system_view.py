"""A system on the terminal: services with their instances and operations, and who calls whom."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from executor.model.system import Dependency, Service, System
from executor.model.wording import many
from planner.cli.output import out as terminal


def show(system: System, out: Console = terminal) -> None:
    """Print the whole system, a line a service."""
    out.print(
        f"[head]{escape(system.name)}[/head] ({system.environment.value}): {many(len(system.services), 'service')}, "
        f"{many(sum(len(s.instances) for s in system.services), 'instance')}, {many(len(system.dependencies), 'edge')}"
    )
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="head")
    for column in ("service", "kind", "instances", "operations", "calls"):
        table.add_column(column, overflow="fold")
    for service in system.services:
        table.add_row(*_row(service, system))
    out.print(table)


def _row(service: Service, system: System) -> tuple[str, str, str, str, str]:
    kind = service.kind.value if service.technology is None else f"{service.kind.value} ({service.technology})"
    calls = (_edge(d) for d in system.dependencies if d.caller == service.name)
    name = f"{service.name} [protected]" if service.protected else service.name
    operations = ", ".join(check.id for check in service.operations) or "–"
    return escape(name), kind, str(len(service.instances)), operations, ", ".join(calls) or "–"


def _edge(dependency: Dependency) -> str:
    return dependency.callee if dependency.interception else f"{dependency.callee}*"
