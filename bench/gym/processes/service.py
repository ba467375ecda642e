"""One service of a small real system: ``python service.py CONFIG NAME``. Behaves as its configuration says.

An ordinary HTTP service of the standard library, which knows nothing of Murphy: it calls others one after another,
with a time-out, retries, a breaker, a bound and a fallback of its own, or without.
"""

from __future__ import annotations

import http.client
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class Client:
    """How this service calls one other. See ``bench.gym.behaviour.Client`` for what each setting means."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.told = told
        self._lock = threading.Lock()
        self._failures = 0
        self._open_until: float | None = None
        self._probing = False
        self._free = threading.Semaphore(told["pool"]) if told["pool"] is not None else None

    def call(self, path: str) -> str:
        """How it ended, all tries included."""
        within_s = self.told["retry_within_s"]
        for left in range(self.told["retries"], -1, -1):
            begun = time.monotonic()
            outcome = self._once(path)
            late = within_s is not None and time.monotonic() - begun > within_s
            if outcome == "ok" or outcome not in self.told["retry_on"] or late or not left:
                break
            time.sleep(self.told["backoff_s"])
        return outcome

    @property
    def well(self) -> bool:
        """Whether calls have gone well of late."""
        return self._open_until is None and self._failures < 3

    def _once(self, path: str) -> str:
        with self._lock:
            probe = self._open_until is not None
            if self._open_until is not None:
                if not self.told["closes"] or self._probing or time.monotonic() < self._open_until:
                    return "open"
                self._probing = True
        if self._free is not None and not self._free.acquire(blocking=False):
            with self._lock:
                self._probing = self._probing and not probe
            return "full"
        try:
            outcome = self._ask(path)
        finally:
            if self._free is not None:
                self._free.release()
        self._count_in(outcome, probe)
        return outcome

    def _count_in(self, outcome: str, probe: bool) -> None:
        with self._lock:
            if probe:
                self._probing = False
            if outcome not in self.told["breaker_counts"]:
                self._failures, self._open_until = 0, None
                return
            self._failures += 1
            after = self.told["breaker_after"]
            if after is not None and (probe or self._failures >= after):
                self._open_until = time.monotonic() + self.told["open_s"]

    def _ask(self, path: str) -> str:
        host, _, port = self.told["address"].partition(":")
        line = http.client.HTTPConnection(host, int(port), timeout=self.told["timeout_s"])
        try:
            line.request("GET", path)
            answer = line.getresponse()
            body = answer.read()
            if answer.status >= 400:
                return "5xx" if answer.status >= 500 else "4xx"
            json.loads(body)["well"]
        except TimeoutError:
            return "timeout"
        except ConnectionRefusedError:
            return "refused"
        except (ValueError, KeyError, TypeError, http.client.IncompleteRead):
            return "malformed"
        except (OSError, http.client.HTTPException):
            return "reset"
        else:
            return "ok"
        finally:
            line.close()


class Service:
    """What the process does."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.told = told
        self.clients = {callee: Client(client) for callee, client in told["clients"].items()}
        self.workers = threading.Semaphore(told["workers"])
        self._lock = threading.Lock()
        self._busy = 0

    def answer(self, operation: str) -> int:
        """The status."""
        if operation == "health":
            deep = self.told["health"] == "deep"
            return 503 if deep and not all(self.clients[name].well for name in self.told["hard"]) else 200
        steps = self.told["routes"].get(operation)
        if steps is None:
            return 404
        with self.workers:
            with self._lock:
                self._busy += 1
                spoilt = self.told["most"] is not None and self._busy > self.told["most"]
            try:
                time.sleep(self.told["service_s"])
                return 500 if spoilt or not self._all(operation, steps) else 200
            finally:
                with self._lock:
                    self._busy -= 1

    def _all(self, operation: str, steps: list[dict[str, Any]]) -> bool:
        for step in steps:
            client = self.clients[step["callee"]]
            outcome = client.call(f"/{operation}")
            if outcome != "ok" and not (step["soft"] and outcome in client.told["fallback"]):
                return False
        return True


def main() -> None:
    """Serve until ended."""
    service = Service(json.loads(Path(sys.argv[1]).read_text())["services"][sys.argv[2]])

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status = service.answer(self.path.lstrip("/"))
            body = json.dumps({"well": status == 200}).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Says nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, *args: object) -> None:
            """A caller that went away."""

    Server(("127.0.0.1", service.told["port"]), Handler).serve_forever()


if __name__ == "__main__":
    main()
