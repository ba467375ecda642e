"""The second example: three plain processes, described by hand."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from executor.model.system import System
from knowledge.topology.files import read

OTHER = Path(__file__).parents[2] / "examples" / "other"
WAIT_S = 30


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def get(port: int) -> Any:
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=WAIT_S) as answer:
                return json.load(answer)
        except OSError:
            assert time.monotonic() < deadline, f"nothing answers on {port}"
            time.sleep(0.05)


@pytest.fixture
def running() -> Iterator[tuple[int, dict[str, subprocess.Popen[bytes]]]]:
    """The page's port, and the three processes by their names."""
    weather, places, page = free_port(), free_port(), free_port()
    argv = {"weather": [weather], "places": [places], "page": [page, weather, places]}
    started = {
        name: subprocess.Popen([sys.executable, "-B", str(OTHER / f"{name}.py"), *map(str, ports)])
        for name, ports in argv.items()
    }
    try:
        for port in (weather, places, page):
            get(port)
        yield page, started
    finally:
        for process in started.values():
            process.kill()
            process.wait(timeout=WAIT_S)


def test_the_page_does_without_places(running: tuple[int, dict[str, subprocess.Popen[bytes]]]) -> None:
    page, processes = running
    assert get(page) == {"place": "Gdansk", "sky": "blue"}

    processes["places"].send_signal(signal.SIGSTOP)
    assert get(page) == {"place": "somewhere", "sky": "blue"}

    processes["places"].send_signal(signal.SIGCONT)
    deadline = time.monotonic() + WAIT_S
    while get(page)["place"] != "Gdansk":
        assert time.monotonic() < deadline, "places is not used again"


def test_its_description_can_be_read() -> None:
    system = read(OTHER / "system.yaml", System)

    assert [service.name for service in system.services] == ["page", "weather", "places"]
    assert {edge.place for edge in system.dependencies} == {"page->weather", "page->places"}
