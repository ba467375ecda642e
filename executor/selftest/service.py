"""One service of the scene: ``python -m executor.selftest.service NAME PORT UPSTREAM LANE TICKS STARTS``.

``/`` answers with its name; ``/via`` with what ``/`` of the service behind port ``UPSTREAM`` answers. It notes each of
its starts in a file, and ends by itself soon after the process ``LANE`` that it serves.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from executor.clock import start_ticks

_LOOK_S = 1.0
_UPSTREAM_S = 2.0


class _Handler(BaseHTTPRequestHandler):
    name = ""
    upstream = 0

    def do_GET(self) -> None:
        """Answer with a name."""
        status, body = 200, self.name.encode()
        if self.path == "/via":
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.upstream}/", timeout=_UPSTREAM_S) as answer:
                    body = answer.read()
            except OSError as error:
                status, body = 503, str(error).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that has gone away is no news."""


def _end_with(lane: int, ticks: int) -> None:
    while start_ticks(lane) == ticks:
        time.sleep(_LOOK_S)
    os._exit(0)


def main() -> None:
    """Serve until the lane ends."""
    name, port, upstream, lane, ticks, starts = sys.argv[1:]
    _Handler.name, _Handler.upstream = name, int(upstream)
    threading.Thread(target=_end_with, args=(int(lane), int(ticks)), daemon=True).start()
    server = _Server(("127.0.0.1", int(port)), _Handler)
    with Path(starts).open("a", encoding="ascii") as file:
        file.write(f"{os.getpid()}\n")
    server.serve_forever()


if __name__ == "__main__":
    main()
