"""What a process is made with and what it is to its callers, told from its program's name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from executor.model.vocabulary import ServiceKind
from knowledge.topology.processes import Process

Protocol = Literal["http", "grpc", "postgresql", "redis", "amqp", "tcp"]


@dataclass(frozen=True)
class Technology:
    """A recognised technology."""

    name: str | None
    kind: ServiceKind
    protocol: Protocol


UNKNOWN = Technology(None, ServiceKind.GENERIC, "tcp")
_HTTP = ServiceKind.HTTP
_BALANCER = ServiceKind.LOAD_BALANCER
_DATABASE = ServiceKind.DATABASE

_PROGRAMS: tuple[tuple[str, Technology], ...] = (
    (r"postgres(ql)?|postmaster", Technology("postgresql", _DATABASE, "postgresql")),
    (r"pgbouncer", Technology("pgbouncer", _DATABASE, "postgresql")),
    (r"redis-server", Technology("redis", ServiceKind.CACHE, "redis")),
    (r"valkey-server", Technology("valkey", ServiceKind.CACHE, "redis")),
    (r"memcached", Technology("memcached", ServiceKind.CACHE, "tcp")),
    (r"mysqld|mariadbd", Technology("mysql", _DATABASE, "tcp")),
    (r"mongod", Technology("mongodb", _DATABASE, "tcp")),
    (r"nginx", Technology("nginx", _BALANCER, "http")),
    (r"haproxy", Technology("haproxy", _BALANCER, "http")),
    (r"caddy", Technology("caddy", _BALANCER, "http")),
    (r"traefik", Technology("traefik", _BALANCER, "http")),
    (r"envoy", Technology("envoy", _BALANCER, "http")),
    (r"rabbitmq.*", Technology("rabbitmq", ServiceKind.QUEUE, "amqp")),
    (r"nats-server", Technology("nats", ServiceKind.QUEUE, "tcp")),
    (r"uvicorn", Technology("uvicorn", _HTTP, "http")),
    (r"gunicorn", Technology("gunicorn", _HTTP, "http")),
    (r"hypercorn", Technology("hypercorn", _HTTP, "http")),
    (r"waitress(-serve)?", Technology("waitress", _HTTP, "http")),
    (r"flask", Technology("flask", _HTTP, "http")),
    (r"http\.server", Technology("http.server", _HTTP, "http")),
)
_COMPILED = tuple((re.compile(pattern), technology) for pattern, technology in _PROGRAMS)
_IMPORTS: tuple[tuple[str, str], ...] = (
    ("grpc", "grpc"),
    ("fastapi", "fastapi"),
    ("starlette", "starlette"),
    ("flask", "flask"),
    ("django", "django"),
    ("aiohttp", "aiohttp"),
    ("tornado", "tornado"),
    ("http.server", "http.server"),
)
_SCRIPT_BYTES = 65_536


def recognise(process: Process, words: tuple[str, ...], script: Path | None) -> Technology:
    """The technology of a process, from its program (``words``: program, module, script names) or its script's imports.

    Unknown programs are ``generic`` over ``tcp``; that says nothing against them.
    """
    candidates = (*words, process.name)
    if any("rabbit" in argument for argument in process.argv) and process.name.startswith("beam"):
        candidates = ("rabbitmq",)
    for word in candidates:
        for pattern, technology in _COMPILED:
            if pattern.fullmatch(word):
                return technology
    return _from_imports(script) if script is not None else UNKNOWN


def _from_imports(script: Path) -> Technology:
    try:
        with script.open("rb") as file:
            source = file.read(_SCRIPT_BYTES).decode("utf-8", errors="replace")
    except OSError:
        return UNKNOWN
    for module, name in _IMPORTS:
        if re.search(rf"^\s*(import|from)\s+{re.escape(module)}\b", source, re.MULTILINE):
            kind, protocol = (ServiceKind.GRPC, "grpc") if name == "grpc" else (_HTTP, "http")
            return Technology(name, kind, "grpc" if protocol == "grpc" else "http")
    return UNKNOWN
