"""The bazaar with a process behind each instance and a proxy on each edge: idle, but all of it can be struck."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from executor.clock import start_ticks
from executor.model.system import System
from tests.executor.kit import free_ports, until
from tests.planner.systems import bazaar


@contextmanager
def standing_bazaar(directory: Path) -> Iterator[System]:
    """For the length of a ``with`` block."""
    found: dict[str, Any] = bazaar().model_dump()
    control = directory / "control.sock"
    with ExitStack() as ends:
        for service in found["services"]:
            for instance in service["instances"]:
                process = subprocess.Popen(["sleep", "3600"])
                ends.callback(_end, process)
                instance |= {"command": "sleep 3600", "port": None, "pid": process.pid}
                instance["start_ticks"] = start_ticks(process.pid)
        places = [f"{edge['caller']}->{edge['callee']}" for edge in found["dependencies"]]
        ports = free_ports(2 * len(places))
        edges = [
            {"edge": place, "listen": listen, "upstream": f"127.0.0.1:{port}", "protocol": "tcp"}
            for place, listen, port in zip(places, ports, ports[len(places) :], strict=False)
        ]
        for edge in found["dependencies"]:
            edge["interception"]["control"] = str(control)
        config = directory / "proxy.json"
        config.write_text(json.dumps({"control": str(control), "edges": edges}), encoding="utf-8")
        command = [sys.executable, "-m", "executor.proxy", "--config", str(config)]
        proxy = subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.DEVNULL)
        ends.callback(_end, proxy)
        until(control.exists)
        yield System.model_validate(found)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait()
