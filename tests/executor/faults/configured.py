"""A service with a file of settings: reads it at its start and on SIGHUP, and tells over HTTP what it goes by."""

from __future__ import annotations

import json
import signal
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import yaml

settings: dict[str, object] = {}


def read(*_: object) -> None:
    settings.update(yaml.safe_load(Path(sys.argv[1]).read_text(encoding="utf-8")))


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        said = json.dumps(settings["pool"]).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    signal.signal(signal.SIGHUP, read)
    read()
    HTTPServer(("127.0.0.1", int(sys.argv[2])), Handler).serve_forever()
