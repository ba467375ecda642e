"""What a plan's targets are on this machine right now: a system knows them by port and command only."""

from __future__ import annotations

import pwd
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from executor.drivers import resolve
from executor.drivers.driver import driver
from executor.drivers.resolve import chosen, edges_of
from executor.drivers.targets import ProcessTarget
from executor.errors import UnavailableError
from executor.kernel import process
from executor.model.plan import InstanceTarget, Plan
from executor.model.system import Instance, Service, System
from planner.cli.output import out as terminal

_COLUMNS = ("what", "instance", "pid", "user", "directory", "program")


def show(plan: Plan, system: System, out: Console = terminal) -> None:
    """Print one row for each process that is struck, or whose calls are.

    Raises ``InputError`` for a target that the system does not have.
    """
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="head", title="Right now that is", title_justify="left")
    for column in _COLUMNS:
        table.add_column(column, overflow="fold")
    for what, service, instance in dict.fromkeys(_targets(plan, system)):
        table.add_row(what, instance.id, *map(escape, _seen(service, instance)))
    out.print(table)


def _targets(plan: Plan, system: System) -> Iterator[tuple[str, Service, Instance]]:
    for action in plan.actions:
        if isinstance(action.target, InstanceTarget):
            service = system.service(action.target.service)
            ids = chosen(action.target, service)
            yield from (("struck", service, instance) for instance in service.instances if instance.id in ids)
        else:
            for edge in edges_of(action.target, system):
                caller = system.service(edge.caller)
                yield from (("its calls", caller, instance) for instance in caller.instances)


def _seen(service: Service, instance: Instance) -> tuple[str, str, str, str]:
    """Pid, owner, directory, and program with its script: further arguments may hold passwords."""
    try:
        found = resolve.found(service, instance)
        if not isinstance(found, ProcessTarget):
            return "", "", "", driver(found.driver).noun
        owner = _user(Path(f"/proc/{found.pid}").stat().st_uid)
    except UnavailableError as error:
        return "none", "", "", error.message
    except FileNotFoundError:
        return "none", "", "", "it ended while it was looked at"
    words = process.command_line(found.pid)
    script = next((word for word in words[1:] if not word.startswith("-")), "")
    more = f" (+{len(words) - 2})" if len(words) > 2 else ""
    return str(found.pid), owner, _directory(found.pid), f"{words[0] if words else '?'} {script}{more}".strip()


def _directory(pid: int) -> str:
    try:
        return str(Path(f"/proc/{pid}/cwd").readlink())
    except OSError:
        return "?"  # another user's


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
