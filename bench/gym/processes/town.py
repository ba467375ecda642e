"""A small system as real processes: its configuration, its start and its end, and what Murphy is told of it."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.gym.behaviour import Step, World, hard
from bench.gym.declared import declare
from bench.gym.systems import Ground
from executor.model.system import System
from tests.executor.kit import free_ports

ROOT = Path(__file__).parents[3]
READY_S = 30.0


@contextmanager
def running(ground: Ground) -> Iterator[System]:
    """The system, running, as Murphy may know it. Everything has ended when the block ends."""
    with tempfile.TemporaryDirectory(prefix="murphy-gym-") as made:
        directory = Path(made)
        system = _configure(ground, directory)
        fleet = subprocess.Popen(
            [sys.executable, str(Path(__file__).parent / "fleet.py"), str(directory)], cwd=ROOT, stdin=subprocess.PIPE
        )
        try:
            _wait(system, directory)
            yield system
        finally:
            assert fleet.stdin is not None
            fleet.stdin.close()
            fleet.wait(20)


def _configure(ground: Ground, directory: Path) -> System:
    world = ground.world
    edges = sorted(world.clients)
    ports = free_ports(len(world.servers) + len(edges))
    own = dict(zip(world.servers, ports, strict=False))
    through = dict(zip(edges, ports[len(world.servers) :], strict=True))
    services = {}
    for name, server in world.servers.items():
        clients = {
            callee: {**_plain(asdict(client)), "address": f"127.0.0.1:{through[caller, callee]}"}
            for (caller, callee), client in world.clients.items()
            if caller == name
        }
        routes = _routes(world, name)
        needed = sorted({b for a, b in hard(world) if a == name})
        services[name] = {**_plain(asdict(server)), "port": own[name], "clients": clients, "routes": routes}
        services[name]["hard"] = needed
    (directory / "config.json").write_text(json.dumps({"services": services}, indent=1))
    proxied = [
        {"edge": f"{a}->{b}", "listen": through[a, b], "upstream": f"127.0.0.1:{own[b]}", "protocol": "http"}
        for a, b in edges
    ]
    control = directory / "proxy.sock"
    (directory / "proxy.json").write_text(json.dumps({"control": str(control), "edges": proxied}))
    return _told(declare(world, seed=1), own, through, control)


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {key: sorted(value) if isinstance(value, frozenset) else value for key, value in values.items()}


def _routes(world: World, name: str) -> dict[str, list[dict[str, Any]]]:
    """What the service calls for each operation that comes to it."""
    found: dict[str, list[dict[str, Any]]] = {}

    def look(operation: str, service: str, steps: tuple[Step, ...]) -> None:
        if service == name:
            found[operation] = [{"callee": step.callee, "soft": step.soft} for step in steps]
        for step in steps:
            look(operation, step.callee, step.then)

    for operation in world.operations:
        look(operation.id, operation.service, operation.steps)
    return found


def _told(system: System, own: dict[str, int], through: dict[tuple[str, str], int], control: Path) -> System:
    """The declared system with the real addresses."""
    told = json.loads(system.model_dump_json())
    for service in told["services"]:
        name = service["name"]
        port = own[name]
        command = f"service.py {control.parent}/config.json {name}"
        service["instances"] = [{"driver": "process", "id": name, "command": command, "port": port}]
        for check in service["operations"]:
            check["probe"]["url"] = f"http://127.0.0.1:{port}/{check['id']}"
        for signal in service["signals"]:
            signal["probe"]["url"] = f"http://127.0.0.1:{port}/health"
    for edge in told["dependencies"]:
        edge["interception"]["control"] = str(control)
        edge["port"] = through[edge["caller"], edge["callee"]]
    return System.model_validate(told)


def _wait(system: System, directory: Path) -> None:
    until = time.monotonic() + READY_S
    waiting = [signal.probe for service in system.services for signal in service.signals]
    while waiting or not (directory / "proxy.sock").exists():
        if time.monotonic() > until:
            raise TimeoutError(f"{len(waiting)} services did not come up")
        waiting = [probe for probe in waiting if not _is_well(str(getattr(probe, "url", "")))]
        time.sleep(0.05)


def _is_well(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
