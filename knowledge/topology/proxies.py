"""Murphy's own managed fault proxies among the processes: they are ways through, not services."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from executor.errors import InputError
from executor.proxy.config import Config, load
from knowledge.topology.processes import Process
from knowledge.topology.technology import Protocol


@dataclass(frozen=True)
class ProxiedEdge:
    """One edge that runs through a managed proxy."""

    control: str
    """Absolute path of the proxy's control socket."""
    edge: str
    """Its name there, ``caller->callee``."""
    listen: int
    upstream: int
    """Port of the callee on this machine."""
    protocol: Protocol
    proxy: Process


def is_proxy(process: Process) -> bool:
    """Whether a process is Murphy's fault proxy (``python -m executor.proxy`` or ``murphy proxy``)."""
    return any(
        (first, second) == ("-m", "executor.proxy") or (Path(first).name == "murphy" and second == "proxy")
        for first, second in pairwise(process.argv)
    )


def proxied_edges(processes: Iterable[Process]) -> dict[int, ProxiedEdge]:
    """Edges of all managed proxies, by the port on which the caller reaches the proxy.

    An edge whose callee is on another machine, or a proxy whose configuration cannot be read, is left out.
    """
    found = {}
    for process in processes:
        config = _configuration(process) if is_proxy(process) else None
        for edge in config.edges if config else ():
            host, port = edge.upstream
            if config and (host.startswith("127.") or host in ("localhost", "::1")):
                control = str(Path(process.cwd) / config.control)
                found[edge.listen[1]] = ProxiedEdge(control, edge.edge, edge.listen[1], port, edge.protocol, process)
    return found


def _configuration(process: Process) -> Config | None:
    for option, value in pairwise((*process.argv, "")):
        path = option.removeprefix("--config=") if option.startswith("--config=") else value
        if option.startswith("--config"):
            try:
                return load(Path(process.cwd) / path)
            except InputError:  # rewritten or removed since it started: what it does cannot be known
                return None
    return None
