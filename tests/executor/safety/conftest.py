"""A small real service for health and preflight."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

SERVER = """
import http.server, time

class Handler(http.server.BaseHTTPRequestHandler):
    asked = 0

    def do_GET(self):
        Handler.asked += 1
        way, _, number = self.path[1:].partition("/")
        if way == "slow":
            time.sleep(float(number) / 1000)
        if way == "hang":
            time.sleep(600)
        bad = way == "bad" or (way == "every" and Handler.asked % int(number) == 0)
        self.send_response(503 if bad else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
print(server.server_port, flush=True)
server.serve_forever()
"""


@dataclass(frozen=True)
class Server:
    """A running server: ``/ok``, ``/bad`` fails, ``/every/N`` fails each Nth, ``/slow/MS`` and ``/hang`` wait."""

    port: int
    process: subprocess.Popen[str]

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"


@pytest.fixture
def serve() -> Iterator[Callable[[], Server]]:
    """Starts servers and ends them, by their handles, when the test is over."""
    running: list[subprocess.Popen[str]] = []

    def begin() -> Server:
        process = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True)
        running.append(process)
        assert process.stdout is not None
        return Server(int(process.stdout.readline()), process)

    yield begin
    for process in running:
        process.kill()
        process.wait(timeout=30)
        assert process.stdout is not None
        process.stdout.close()
