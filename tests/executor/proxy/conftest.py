"""A managed proxy as the real program it is, and a callee that answers in every way HTTP/1 allows."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from executor.proxy import edges
from tests.executor.proxy.servers import Callee, free_port, wait_until


class Managed:
    """A running managed proxy with one HTTP edge ``a->b`` and one TCP edge ``a->c`` to the same callee.

    With ``grpc`` it has one gRPC edge ``a->g`` too.
    """

    def __init__(self, directory: Path, upstream: int, *, grpc: bool = False) -> None:
        self.control = str(directory / "proxy.sock")
        self.http, self.tcp, self.grpc = free_port(), free_port(), free_port()
        config = directory / "edges.json"
        pairs = [("a->b", self.http, "http"), ("a->c", self.tcp, "tcp")] + [("a->g", self.grpc, "grpc")] * grpc
        served = [
            {"edge": edge, "listen": port, "upstream": f"127.0.0.1:{upstream}", "protocol": protocol}
            for edge, port, protocol in pairs
        ]
        config.write_text(json.dumps({"control": self.control, "edges": served}))
        self.command = [sys.executable, "-m", "executor.proxy", "--config", str(config)]
        self.log = directory / "proxy.log"
        self.start()

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, stderr=log)
        wait_until(self._serves, 30)

    def _serves(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            return bool(edges.served(self.control))
        except edges.ProxyGoneError:
            return False

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def put(self, edge: str = "a->b", mark: str = "m", lease_s: float = 60.0, **fault: object) -> None:
        edges.put(self.control, edge, mark, fault, lease_s)

    def drop(self, mark: str = "m") -> list[str]:
        return edges.drop(self.control, mark)

    def counters(self, edge: str = "a->b") -> dict[str, int]:
        return self.ask({"do": "counters", "edge": edge})

    def ask(self, request: object) -> dict:
        return self.ask_raw(json.dumps(request).encode() + b"\n")

    def ask_raw(self, line: bytes) -> dict:
        with socket.socket(socket.AF_UNIX) as channel:
            channel.settimeout(20)
            channel.connect(self.control)
            channel.sendall(line)
            with channel.makefile("rb") as lines:
                return json.loads(lines.readline())


@pytest.fixture
def callee() -> Iterator[Callee]:
    server = Callee()
    yield server
    server.stop()


@pytest.fixture
def proxy(tmp_path: Path, callee: Callee) -> Iterator[Managed]:
    managed = Managed(tmp_path, callee.port)
    yield managed
    managed.stop()


@pytest.fixture
def dial() -> Iterator[Callable[[int], socket.socket]]:
    """Connections that are closed at the end."""
    opened: list[socket.socket] = []

    def connect(port: int) -> socket.socket:
        opened.append(socket.create_connection(("127.0.0.1", port), timeout=20))
        return opened[-1]

    yield connect
    for one in opened:
        one.close()
