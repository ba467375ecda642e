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
from knowledge.topology.processes import Container, Process, descendants

log = logging.getLogger(__name__)

_PROXY, _MONITOR = "docker-proxy", "conmon"
_USUAL = {_PROXY: "unix:///var/run/docker.sock", _MONITOR: "unix:///run/podman/podman.sock"}
"""Where an engine is asked by default, by its way into a container: of Podman, what runs the container itself."""
_SERVICE = "com.docker.compose.service"
"""Label by which Compose says which service a container is one of."""


def with_containers(processes: Mapping[int, Process]) -> dict[int, Process]:
    """The processes, with the ways into each container as one, which runs what the container runs.

    An engine that may not be asked leaves them as they are, and a warning says so; but for those that run a container
    themselves, and what is in it: they are left out, since whoever struck them would strike what nobody could restore.
    """
    found = dict(processes)
    for way_in, usual in _USUAL.items():
        ways = {pid: process for pid, process in processes.items() if process.name == way_in}
        if way_in == _MONITOR:
            ways = {pid: process for pid, process in ways.items() if process.ports}
            for pid in ways:
                for gone in (pid, *descendants(processes, pid)):
                    found.pop(gone, None)
        if not ways:
            continue
        url = os.environ.get("DOCKER_HOST") or usual
        try:
            seen = list(_running(url))
        except UnavailableError as error:
            log.warning("What runs in containers is not known: %s", error)
            continue
        found = {pid: process for pid, process in found.items() if pid not in ways}
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
    """Whether a way in is one to a container: by its id, or its address in its network, so that it is this engine's."""
    told = dict(pairwise(argv))
    if told.get("-c") == container["Id"]:
        return True
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
