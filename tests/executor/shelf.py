"""A small real service that anybody can start: ``python shelf.py PORT [UPSTREAM_PORT]``. Bounded: it ends by itself.

``/`` answers at once, ``/count`` with how many requests there have been for ``/``, or by POST for ``/orders``;
``/via`` asks the upstream service first, with a time-out of half a second, and fails with it.
"""

from __future__ import annotations

import os
import sys
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LIFE_S = 900.0


class Handler(BaseHTTPRequestHandler):
    upstream = 0
    served = 0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.do_GET()

    def do_GET(self) -> None:
        status, body = 200, str(os.getpid()).encode()
        if self.path == ("/" if self.command == "GET" else "/orders"):
            Handler.served += 1
        elif self.path == "/count":
            body = str(self.served).encode()
        elif self.path == "/via":
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.upstream}/", timeout=0.5) as answer:
                    body = answer.read()
            except OSError as error:
                status, body = 503, str(error).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that has gone away is no news."""


def main() -> None:
    Handler.upstream = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    threading.Timer(LIFE_S, os._exit, (0,)).start()
    Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()


if __name__ == "__main__":
    main()
