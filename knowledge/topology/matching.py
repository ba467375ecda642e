"""Which discovered service an operator's annotation means."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pydantic import model_validator

from executor.errors import InputError, UnavailableError
from executor.kernel import locate, process
from executor.model.base import Contract, Line, Port
from executor.model.system import Instance, ProcessInstance, Service, System
from executor.secrets import plain

CommandOf = Callable[[Instance], str]


class Match(Contract):
    """Which discovered service is meant: text of an instance's command line, a port of an instance, or both."""

    command: Line = ""
    port: Port | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Match:
        if not self.command and self.port is None:
            raise ValueError("give command, port or both")
        return self

    def __str__(self) -> str:
        parts = [f"command containing {self.command!r}"] if self.command else []
        parts += [f"port {self.port}"] if self.port is not None else []
        return " and ".join(parts)


def meant(system: System, matches: Mapping[str, Match | None], command_of: CommandOf) -> Mapping[str, str]:
    """Discovered name → wanted name. ``None`` means the discovered service that already has the wanted name.

    Raises ``InputError`` for a match that fits no service or several, and where two services would be called alike.
    """
    lines = {instance.id: command_of(instance) for service in system.services for instance in service.instances}
    names: dict[str, str] = {}
    for wanted, match in matches.items():
        found = [service for service in system.services if _fits(service, wanted, match, lines)]
        if len(found) != 1:
            raise _not_one(wanted, match, found, system, lines)
        (service,) = found
        if service.name in names:
            raise InputError(
                f"means the same discovered service as services.{names[service.name]}.", where=f"services.{wanted}"
            )
        names[service.name] = wanted
    for service in system.services:
        if service.name not in names and service.name in names.values():
            raise InputError(
                f"another discovered service already has this name: {_shown(service, lines)}.",
                where=f"services.{service.name}",
                hint="Annotate that one too, under a name of its own.",
            )
    return names


def command_line(instance: Instance) -> str:
    """The whole command line of the process that an instance means; the part that was noted if it is not there."""
    if not isinstance(instance, ProcessInstance):
        return ""
    try:
        return " ".join(process.command_line(locate.find(instance).pid)) or instance.command
    except UnavailableError:
        return instance.command


def _fits(service: Service, wanted: str, match: Match | None, lines: Mapping[str, str]) -> bool:
    if match is None:
        return service.name == wanted
    return any(
        match.command in lines[instance.id] and match.port in (None, instance.port) for instance in service.instances
    )


def _not_one(
    wanted: str, match: Match | None, found: list[Service], system: System, lines: Mapping[str, str]
) -> InputError:
    said = str(match or f"the name {wanted}")
    shown = "; ".join(_shown(service, lines) for service in found or system.services)
    if found:
        return InputError(
            f"{said} fits several discovered services: {shown}.",
            where=f"services.{wanted}",
            hint="Make match more exact, for instance with a port.",
        )
    return InputError(
        f"{said} fits no discovered service.",
        where=f"services.{wanted}",
        hint=f"Found were: {shown}. Widen with --port or --command.",
    )


def _shown(service: Service, lines: Mapping[str, str]) -> str:
    ports = [str(instance.port) for instance in service.instances if instance.port]
    command = " ".join(plain(next((lines[instance.id] for instance in service.instances), "").split()))
    short = command if len(command) <= 80 else f"…{command[-79:]}"
    told = ", ".join(filter(None, ("port " + " and ".join(ports) if ports else "", short)))
    return f"{service.name} ({told})" if told else service.name
