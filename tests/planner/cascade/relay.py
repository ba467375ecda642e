"""A small real service that calls others: ``relay.py PORT '{"calls": [[9001, …], …], …}'``. It ends by itself.

``/`` does its own work and asks one of each list of ports; ``/own`` asks nobody. What the settings say:

- ``timeout_s`` of a call; ``soft``: it does without those it calls; ``keep_s``: so long it answers from what it had;
- ``workers``: how many requests are worked on at once, while the others wait; ``work_s``: how long one takes;
- ``apart``: ``/own`` has workers of its own.

Of several ports one after another is asked, and one that refuses is left alone for a second.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LIFE_S = 600.0
EJECTED_S = 1.0


class Relay:
    """The service's state."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.workers = threading.Semaphore(settings.get("workers", 64))
        self.own = threading.Semaphore(4) if settings.get("apart") else self.workers
        self.calls: list[list[int]] = settings.get("calls", [])
        self.turn = itertools.count()
        self.left_alone: dict[int, float] = {}
        self.kept_until = 0.0

    def root(self) -> int:
        with self.workers:
            time.sleep(self.settings.get("work_s", 0.0))
            good = sum(self._ask(ports) for ports in self.calls) == len(self.calls)
            if good:
                self.kept_until = time.monotonic() + self.settings.get("keep_s", 0.0)
            return 200 if good or self.settings.get("soft") or time.monotonic() < self.kept_until else 503

    def apart(self) -> int:
        with self.own:
            return 200

    def _ask(self, ports: list[int]) -> bool:
        """One of them, in turn; the next only where nobody listens."""
        first = next(self.turn)
        for port in (ports[(first + n) % len(ports)] for n in range(len(ports))):
            if time.monotonic() < self.left_alone.get(port, 0.0):
                continue
            try:
                with urllib.request.urlopen(
                    f"http://127.0.0.1:{port}/", timeout=self.settings.get("timeout_s", 1.0)
                ) as answer:
                    return bool(answer.status == 200)
            except urllib.error.HTTPError:
                return False
            except OSError as error:
                if "refused" not in str(error):
                    return False
                self.left_alone[port] = time.monotonic() + EJECTED_S
        return False


class Handler(BaseHTTPRequestHandler):
    relay: Relay

    def do_GET(self) -> None:
        status = self.relay.apart() if self.path == "/own" else self.relay.root()
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that has gone away is no news."""


def main() -> None:
    Handler.relay = Relay(json.loads(sys.argv[2]))
    threading.Timer(LIFE_S, os._exit, (0,)).start()
    Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()


if __name__ == "__main__":
    main()
