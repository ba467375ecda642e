"""Containers behind the ports that an engine publishes: what listens there is only the engine's way in.

Who calls from inside a container is not seen: its sockets are in a network of its own.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from executor.drivers.container.engine import engine
from executor.errors import UnavailableError
from knowledge.topology.processes import Container, Process

log = logging.getLogger(__name__)

_USUAL = "unix:///var/run/docker.sock"
_WAY_IN = "docker-proxy"
_SERVICE = "com.docker.compose.service"
"""Label by which Compose says which service a container is one of."""


def with_containers(processes: Mapping[int, Process]) -> dict[int, Process]:
    """The processes, with the ways into each container as one, which runs what the container runs.

    An engine that may not be asked leaves them as they are, and a warning says so.
    """
    ways = {pid: process for pid, process in processes.items() if process.name == _WAY_IN}
    if not ways:
        return dict(processes)
    url = os.environ.get("DOCKER_HOST") or _USUAL
    try:
        seen = list(_running(url))
    except UnavailableError as error:
        log.warning("What runs in containers is not known: %s", error)
        return dict(processes)
    found = {pid: process for pid, process in processes.items() if pid not in ways}
    for each in seen:
        own = {pid: way for pid, way in ways.items() if _leads_to(way.argv, each)}
        if own:
            found[min(own)] = _as_process(own.values(), each, url)
    return found


def _running(url: str) -> Iterator[dict[str, Any]]:
    with engine(url) as client:
        for each in client.containers():
            yield client.inspect_container(each["Id"])


def _leads_to(argv: tuple[str, ...], container: Mapping[str, Any]) -> bool:
    """Whether a way in is one to a container: by its address in its network, so that it is this engine's."""
    told = dict(pairwise(argv))
    addresses = {one["IPAddress"] for one in container["NetworkSettings"]["Networks"].values()}
    return told.get("-proto") == "tcp" and told.get("-container-ip") in addresses - {""}


def _as_process(ways: Iterable[Process], container: Mapping[str, Any], url: str) -> Process:
    first, *_ = sorted(ways, key=lambda way: way.pid)
    name = container["Name"].removeprefix("/")
    service = (container["Config"]["Labels"] or {}).get(_SERVICE) or re.sub(r"[-_.]?\d+$", "", name) or name
    image = Path(container["Config"]["Image"].partition("@")[0].partition(":")[0]).name
    return replace(
        first,
        name=image,
        argv=(container["Path"], *container["Args"]),
        cwd="",
        environment={},
        ports=frozenset(port for way in ways for port in way.ports),
        container=Container(name=name, engine=url, service=service),
    )
