"""Local things to strike, as many as wanted and cheap: sleeping processes, and edges through one managed proxy.

Whether a fault is gone is asked here of the targets themselves, by other means than Murphy's own.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol

from executor.clock import start_ticks
from executor.model.plan import Action, EdgeTarget, InstanceTarget
from executor.model.probe import Check, HttpProbe
from executor.model.system import Dependency, ManagedProxy, ProcessInstance, Service
from tests.executor.kit import free_ports, until

ROOT = Path(__file__).parents[1]
FAULT_S = 60.0


class Targets(Protocol):
    """Some targets, and how to see how many of them are struck."""

    services: tuple[Service, ...]
    dependencies: tuple[Dependency, ...]
    actions: tuple[Action, ...]

    def struck(self, nonce: str) -> list[Any]: ...

    def is_struck(self, each: Any) -> bool: ...


class Herd:
    """Processes that sleep; a struck one stands still."""

    dependencies: tuple[Dependency, ...] = ()

    def __init__(self, count: int) -> None:
        self.processes = [subprocess.Popen(["sleep", "1800"], start_new_session=True) for _ in range(count)]
        instances = []
        for number, each in enumerate(self.processes):
            ticks = start_ticks(each.pid)
            assert ticks is not None
            instances.append(ProcessInstance(id=f"sleeper-{number:03}", pid=each.pid, start_ticks=ticks))
        self.services = (Service(name="herd", instances=tuple(instances), restarts="by_hand"),)
        target = InstanceTarget(service="herd", count=count)
        from executor.model.faults.service import Hang

        self.actions = (Action(id="hang", fault=Hang(), target=target, duration_s=FAULT_S),)

    def struck(self, nonce: str) -> list[Any]:  # noqa: ARG002 - edges need it
        return [each for each in self.processes if self.is_struck(each)]

    def is_struck(self, each: Any) -> bool:
        return _stands_still(each.pid)

    def end(self) -> None:
        for each in self.processes:
            each.kill()
            each.wait()


def _stands_still(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat").read_bytes()
    return stat[stat.rindex(b")") + 2 :][:1] == b"T"


class Edges:
    """Edges of one caller through a managed proxy of our own; which faults it holds is asked over its socket."""

    def __init__(self, directory: Path, count: int) -> None:
        from executor.model.faults.network import Latency

        self.count = count
        self._control = directory / "control.sock"
        names = [f"caller->callee-{number:03}" for number in range(count)]
        upstream, *ports = free_ports(count + 1)
        edges = [
            {"edge": name, "listen": port, "upstream": f"127.0.0.1:{upstream}", "protocol": "tcp"}
            for name, port in zip(names, ports, strict=True)
        ]
        config = directory / "proxy.json"
        config.write_text(json.dumps({"control": str(self._control), "edges": edges}), encoding="utf-8")
        command = [sys.executable, "-m", "executor.proxy", "--config", str(config)]
        self._proxy = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(self._control.exists)
        self._line = socket.socket(socket.AF_UNIX)
        until(self._connected)
        self._answers = self._line.makefile("rb")
        callees = [name.split("->")[1] for name in names]
        self.services = (Service(name="caller"), *(Service(name=callee) for callee in callees))
        self.dependencies = tuple(
            Dependency(caller="caller", callee=c, interception=ManagedProxy(control=str(self._control), edge=n))
            for c, n in zip(callees, names, strict=True)
        )
        self.actions = tuple(
            Action(
                id=f"late-{number:03}",
                fault=Latency(delay_ms=10),
                target=EdgeTarget(caller="caller", callee=callee),
                duration_s=FAULT_S,
            )
            for number, callee in enumerate(callees)
        )

    def _connected(self) -> bool:
        try:
            self._line.connect(str(self._control))
        except OSError:
            return False
        return True

    def struck(self, nonce: str) -> list[Any]:
        """Of all marks that the run can have given, those that an edge has."""
        marks = (f"murphy-{nonce[:12]}-{number}" for number in range(1, 2 * self.count + 1))
        return [mark for mark in marks if self.is_struck(mark)]

    def is_struck(self, each: Any) -> bool:
        self._line.sendall(json.dumps({"do": "active", "mark": each}).encode() + b"\n")
        return bool(json.loads(self._answers.readline())["edges"])

    def end(self) -> None:
        self._answers.close()
        self._line.close()
        self._proxy.terminate()
        self._proxy.wait()


class Lamp:
    """A service that is well until it is put out: what the guard watches."""

    def __init__(self) -> None:
        lamp = self
        self.out = False

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(503 if lamp.out else 200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        probe = HttpProbe(url=f"http://127.0.0.1:{self._server.server_port}/", timeout_ms=2000)
        self.check = Check(id="lamp", service="lamp", probe=probe, rate_hz=HERTZ)
        self.service = Service(name="lamp", operations=(self.check,))

    def end(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


HERTZ = 20.0
"""How often the guard's check is asked."""


class Scene:
    """All of it together."""

    def __init__(self, *groups: Any, lamp: Lamp) -> None:
        self.lamp = lamp
        self.groups: tuple[Targets, ...] = groups
        self.services = (lamp.service, *(service for group in groups for service in group.services))
        self.dependencies = tuple(dependency for group in groups for dependency in group.dependencies)
        self.actions = tuple(action for group in groups for action in group.actions)

    def struck(self, nonce: str) -> list[tuple[Targets, Any]]:
        """The targets that show a fault of the run now."""
        return [(group, each) for group in self.groups for each in group.struck(nonce)]

    def freed(self, struck: list[tuple[Targets, Any]], within_s: float) -> float:
        """The moment, on the monotonic clock, at which the last of these was seen free. Raises ``TimeoutError``.

        One is asked at a time, until it is free: to ask all again and again took the proxy's time from those who undo.
        """
        deadline = time.monotonic() + within_s
        for number, (group, each) in enumerate(struck):
            while group.is_struck(each):
                if time.monotonic() > deadline:
                    raise TimeoutError(f"at most {len(struck) - number} targets are still struck after {within_s:g} s")
                time.sleep(0.002)
        return time.monotonic()


@contextmanager
def scene(directory: Path, what: str, count: int) -> Iterator[Scene]:
    """``processes``, ``edges`` or ``mixed`` targets, ``count`` of them."""
    made: list[Any] = [Lamp()]
    try:
        if what != "edges":
            made.append(Herd(count if what == "processes" else count // 2))
        if what != "processes":
            made.append(Edges(directory, count if what == "edges" else count - count // 2))
        yield Scene(*made[1:], lamp=made[0])
    finally:
        for each in reversed(made):
            each.end()
