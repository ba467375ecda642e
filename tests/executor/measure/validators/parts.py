"""Small real services that recover well or badly: ``python parts.py KIND PORT …``. Bounded: each ends by itself.

``store PORT FILE careful|hasty|once`` keeps records: ``POST /records`` with ``{"id": …}``, ``GET /records`` lists them,
``GET /agrees`` says whether there are as many as it has promised. ``careful`` writes a record down before it
acknowledges it, ``once`` too, unless it is there already; ``hasty`` acknowledges at once, and writes half a second
later.

``taker PORT STORE`` hands each record on to a store, again if that does not answer within 0.3 s, three times at most.

``registry PORT`` keeps who is there: ``POST /members/NAME`` registers, ``PUT`` renews (404 for one that it does not
know), ``GET /members`` lists them. Who is not heard of for 0.6 s is taken off the list.

``member PORT REGISTRY NAME registers|renews`` renews every 0.2 s; one that ``registers`` does so when it is not known.

``face PORT PRIMARY REPLICA`` asks whichever of two PostgreSQL lets it write, and says which one that was.

``promoter PORT PRIMARY REPLICA DIRECTORY fences|careless`` promotes the replica once nobody accepts connections at the
primary's port; one that ``fences`` sees to it that the primary, in its directory, comes back as a replica.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

LIFE_S = 900.0
FLUSH_S = 0.5
HAND_ON_S = 0.3
TTL_S = 0.6
RENEW_S = 0.2

PROMOTE_AFTER = 3

Answer = tuple[int, str]
Route = Callable[[str, str, str], Answer]
"""Takes method, path and body."""


class Store:
    def __init__(self, file: Path, manner: str) -> None:
        self.file, self.manner = file, manner
        self.counted = file.with_suffix(".count")
        self.lock = threading.Lock()
        self.waiting: dict[str, float] = {}
        if manner == "hasty":
            threading.Thread(target=self.flush, daemon=True).start()

    def records(self) -> list[str]:
        return self.file.read_text().split() if self.file.exists() else []

    def count(self) -> int:
        """What it promised, which only the hasty one does before it keeps it."""
        return int(self.counted.read_text()) if self.counted.exists() else len(self.records())

    def flush(self) -> None:
        while True:
            time.sleep(FLUSH_S / 10)
            with self.lock:
                due = [record for record, at in self.waiting.items() if time.monotonic() - at > FLUSH_S]
                self.append(*due)
                for record in due:
                    del self.waiting[record]

    def append(self, *records: str) -> None:
        with self.file.open("a") as file:
            file.write("".join(f"{record}\n" for record in records))

    def route(self, method: str, path: str, body: str) -> Answer:
        with self.lock:
            if method == "POST":
                return self.add(json.loads(body)["id"])
            if path == "/agrees":
                return (200, "yes") if self.count() == len(self.records()) + len(self.waiting) else (409, "no")
            return 200, json.dumps([{"id": record} for record in [*self.records(), *self.waiting]])

    def add(self, record: str) -> Answer:
        if self.manner == "once" and record in self.records():
            return 200, "there already"
        if self.manner == "hasty":
            promised = self.count() + 1
            self.waiting[record] = time.monotonic()
            part = self.counted.with_suffix(".part")
            part.write_text(str(promised))
            part.replace(self.counted)
        else:
            self.append(record)
        return 201, "kept"


def taker(store: int) -> Route:
    def route(method: str, path: str, body: str) -> Answer:
        for _ in range(3):
            try:
                return 201, call(f"http://127.0.0.1:{store}{path}", method, body, HAND_ON_S)
            except OSError:
                continue
        return 503, "the store does not answer"

    return route


class Registry:
    def __init__(self) -> None:
        self.heard: dict[str, float] = {}

    def route(self, method: str, path: str, _body: str) -> Answer:
        name, now = path.rpartition("/")[2], time.monotonic()
        there = [member for member, at in list(self.heard.items()) if now - at < TTL_S]
        if method == "GET":
            return 200, json.dumps(there)
        if method == "PUT" and name not in there:
            return 404, "unknown"
        self.heard[name] = now
        return 200, "noted"


def member(registry: int, name: str, manner: str) -> Route:
    def renew() -> None:
        while True:
            url = f"http://127.0.0.1:{registry}/members/{name}"
            try:
                call(url, "PUT", "")
            except urllib.error.HTTPError:
                if manner == "registers":
                    call(url, "POST", "")
            except OSError:
                pass
            time.sleep(RENEW_S)

    threading.Thread(target=renew, daemon=True).start()
    return lambda _method, _path, _body: (200, name)


def both(primary: int, replica: int) -> str:
    hosts = f"host=127.0.0.1,127.0.0.1 port={primary},{replica}"
    return f"{hosts} user=shop dbname=shop target_session_attrs=read-write connect_timeout=2"


def face(primary: int, replica: int) -> Route:
    import psycopg

    def route(_method: str, _path: str, _body: str) -> Answer:
        try:
            with psycopg.connect(both(primary, replica), autocommit=True) as session:
                return 200, "primary" if session.info.port == primary else "replica"
        except psycopg.Error as error:
            return 503, str(error)

    return route


def promoter(primary: int, replica: int, directory: Path, manner: str) -> Route:
    import psycopg

    def watch() -> None:
        missed = 0
        while missed < PROMOTE_AFTER:
            time.sleep(0.1)
            try:
                socket.create_connection(("127.0.0.1", primary), timeout=1).close()
                missed = 0
            except OSError:
                missed += 1
        if manner == "fences":
            (directory / "standby.signal").touch()
        with psycopg.connect(
            f"host=127.0.0.1 port={replica} user=postgres dbname=postgres", autocommit=True
        ) as session:
            session.execute("SELECT pg_promote(false)")

    threading.Thread(target=watch, daemon=True).start()
    return lambda _method, _path, _body: (200, "watching")


def call(url: str, method: str, body: str, timeout: float = 2.0) -> str:
    with urllib.request.urlopen(urllib.request.Request(url, body.encode(), method=method), timeout=timeout) as answer:
        return str(answer.read().decode())


class Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that has gone away is no news."""


def handler(route: Route) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            status, said = route(self.command, self.path, self.rfile.read(length).decode())
            self.send_response(status)
            self.send_header("content-length", str(len(said)))
            self.send_header("X-Served-By", said if len(said) < 10 else "")
            self.end_headers()
            self.wfile.write(said.encode())

        def do_POST(self) -> None:
            self.do_GET()

        def do_PUT(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    return Handler


def main() -> None:
    kind, port, *rest = sys.argv[1:]
    threading.Timer(LIFE_S, os._exit, (0,)).start()
    makers: dict[str, Callable[..., Route]] = {
        "store": lambda file, manner: Store(Path(file), manner).route,
        "taker": lambda store: taker(int(store)),
        "registry": lambda: Registry().route,
        "face": lambda primary, replica: face(int(primary), int(replica)),
        "promoter": lambda primary, replica, directory, manner: promoter(
            int(primary), int(replica), Path(directory), manner
        ),
        "member": lambda registry, name, manner: member(int(registry), name, manner),
    }
    Server(("127.0.0.1", int(port)), handler(makers[kind](*rest))).serve_forever()


if __name__ == "__main__":
    main()
