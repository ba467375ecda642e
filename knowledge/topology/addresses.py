"""Addresses of other local servers in a process's environment and arguments: what it was told to call."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from knowledge.topology.processes import Process
from knowledge.topology.technology import Protocol

_LOCAL = r"(?:127(?:\.\d{1,3}){3}|localhost|\[::1\]|0\.0\.0\.0)"
_ADDRESS = re.compile(rf"(?:(?P<scheme>[a-z][a-z0-9+.-]*)://(?:[^\s/@]*@)?)?\b{_LOCAL}:(?P<port>\d{{1,5}})\b")
_BRACKETED = re.compile(r"\[::1\]:(?P<port>\d{1,5})\b")
_KEYWORD_PORT = re.compile(r"\bport=(?P<port>\d{1,5})\b")
_PROTOCOLS: Mapping[str, Protocol] = {
    "http": "http",
    "https": "http",
    "grpc": "grpc",
    "postgres": "postgresql",
    "postgresql": "postgresql",
    "redis": "redis",
    "rediss": "redis",
    "amqp": "amqp",
}


@dataclass(frozen=True)
class Told:
    """A process was told of a local port. ``origin`` names the place, never the value, which may hold a secret."""

    port: int
    protocol: Protocol | None
    origin: str
    name: str
    """The environment variable's name; empty for an argument."""


def told(process: Process) -> Iterator[Told]:
    """Every local address that a process was given, other than its own."""
    for name, value in process.environment.items():
        for port, protocol in _addresses(value):
            yield Told(port, protocol, f"environment {name}", name)
        if name.endswith("PORT") and value.isdigit() and _is_local_host(process.environment, name):
            yield Told(int(value), None, f"environment {name}", name)
    for argument in process.argv[1:]:
        for port, protocol in _addresses(argument):
            if port not in process.ports:
                yield Told(port, protocol, "command line argument", "")


def _addresses(text: str) -> Iterator[tuple[int, Protocol | None]]:
    for found in (*_ADDRESS.finditer(text), *_BRACKETED.finditer(text)):
        scheme = found.groupdict().get("scheme") or ""
        yield int(found["port"]), _PROTOCOLS.get(scheme.split("+")[0])
    if "host=" in text:  # libpq keywords: host=localhost port=5432
        for found in _KEYWORD_PORT.finditer(text):
            yield int(found["port"]), "postgresql"


def _is_local_host(environment: Mapping[str, str], port_name: str) -> bool:
    """``CATALOG_PORT`` counts only beside a ``CATALOG_HOST`` that is this machine (``PGPORT`` beside ``PGHOST``)."""
    host = environment.get(port_name.removesuffix("PORT") + "HOST")
    return host is not None and re.fullmatch(_LOCAL + "|::1", host) is not None


def is_ambient(told_: Told, process: Process, others: tuple[Process | None, ...]) -> bool:
    """Whether the variable was merely inherited: its parent or the very process it points at carries it too.

    An ambient address says that somebody calls there, not that this process does.
    """
    if not told_.name:
        return False
    value = process.environment.get(told_.name)
    return any(other is not None and other.environment.get(told_.name) == value for other in others)
