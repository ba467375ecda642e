"""Discovery beside a real engine: what publishes a port is a container, not the engine's way in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from executor.model.system import ContainerInstance, System
from tests.executor.faults import containers
from tests.executor.faults.containers import Yard
from tests.missing import missing

DISCOVER = """
import os, subprocess, sys
from executor.kernel import sockets
from knowledge.topology.live import Scope, discover
from tests.executor.kit import until

shop = subprocess.Popen(
    [sys.executable, "-m", "http.server", "8070", "--bind", "127.0.0.1"],
    env=os.environ | {"WEB_URL": "http://127.0.0.1:8080/"},
    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
)
try:
    until(lambda: sockets.listening(shop.pid))
    print(discover(Scope(ports=(8070,)), window_s=0).model_dump_json())
finally:
    shop.kill()
    shop.wait()
"""


@pytest.fixture(params=[containers.Engine, pytest.param(containers.Podman, marks=pytest.mark.slow)])
def grounds(request: pytest.FixtureRequest) -> Iterator[Yard]:
    if reason := containers.lacking(request.param):
        missing(reason)
    with containers.yard(request.param) as yard:
        yard.target.start()
        yield yard


def discovered(yard: Yard, engine: str) -> System:
    command = ["nsenter", f"--net={yard.engine.net}", sys.executable, "-c", DISCOVER]
    told = os.environ | {"DOCKER_HOST": engine}
    said = subprocess.run(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[3], env=told, check=True)
    return System.model_validate(json.loads(said.stdout))


def test_a_container_that_is_called_is_an_instance(grounds: Yard) -> None:
    system = discovered(grounds, grounds.engine.url)
    (edge,) = system.dependencies
    assert (edge.callee, edge.port, edge.source) == ("web", 8080, ("environment WEB_URL",))
    (instance,) = system.service("web").instances
    assert instance == ContainerInstance(id="web-8080", container="web", engine=grounds.engine.url, port=8080)
    assert "canary" not in system.model_dump_json()
    # Where the engine may not be asked, the way in is all that is known. Of Podman, it runs the container itself.
    if isinstance(grounds.engine, containers.Podman):
        assert {service.name for service in discovered(grounds, "unix:///nowhere.sock").services} == {"http.server"}
        return
    (known,) = discovered(grounds, "unix:///nowhere.sock").service("docker-proxy").instances
    assert (known.driver, known.port) == ("process", 8080)
