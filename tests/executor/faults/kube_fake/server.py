"""The store over HTTP, as an API server speaks."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.executor.faults.kube_fake.selecting import chosen, fielded, labelled
from tests.executor.faults.kube_fake.store import RefusalError, Store

Json = dict[str, Any]
MERGE = ("application/merge-patch+json",)


@dataclass
class Trouble:
    """Answers that go wrong: the next ``times`` requests of a method to paths that contain a text get a status."""

    method: str
    part: str
    status: int
    times: int = 1


@dataclass
class Fake:
    """A running server."""

    store: Store
    url: str
    token: str
    troubles: list[Trouble] = field(default_factory=list)
    forbidden: set[tuple[str, str]] = field(default_factory=set)
    """Verbs and resources that the caller may not, as a review of access says."""
    seen: list[tuple[str, str]] = field(default_factory=list)
    """Methods and paths asked for, in order."""

    def kubeconfig(self) -> Json:
        """One for its server, as YAML or JSON reads it."""
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "fake",
            "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "murphy"}}],
            "clusters": [{"name": "fake", "cluster": {"server": self.url}}],
            "users": [{"name": "murphy", "user": {"token": self.token}}],
        }


@contextmanager
def serve(store: Store, token: str = "canary-token") -> Iterator[Fake]:
    """Serve a store on loopback."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    fake = Fake(store, f"http://127.0.0.1:{server.server_address[1]}", token)
    server.fake = fake  # type: ignore[attr-defined]
    server.ended = threading.Event()  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.ended.set()  # type: ignore[attr-defined]
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass(frozen=True)
class _Place:
    group: str
    plural: str
    namespace: str
    name: str
    sub: str


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._answer()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 - the base's

    def _answer(self) -> None:
        fake: Fake = self.server.fake  # type: ignore[attr-defined]
        asked = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(asked.query).items()}
        length = int(self.headers.get("Content-Length") or 0)
        text = self.rfile.read(length)
        if self.server.ended.is_set():  # type: ignore[attr-defined]
            self.close_connection = True
            return
        fake.seen.append((self.command, asked.path))
        try:
            self._refuse(fake, asked.path)
            body = json.loads(text) if text else {}
            if query.get("watch") in ("1", "true"):
                self._watch(fake.store, self._place(fake.store, asked.path), query)
                return
            self._say(*self._do(fake.store, asked.path, query, body))
        except RefusalError as error:
            self._say(error.status, _status(error))
        except ValueError as error:
            self._say(400, _status(RefusalError(400, "BadRequest", str(error))))

    def _refuse(self, fake: Fake, path: str) -> None:
        if self.headers.get("Authorization") != f"Bearer {fake.token}":
            raise RefusalError(401, "Unauthorized", "Unauthorized")
        for trouble in fake.troubles:
            if trouble.method == self.command and trouble.part in path and trouble.times > 0:
                trouble.times -= 1
                raise RefusalError(trouble.status, "InternalError", f"asked to answer {trouble.status}")

    def _place(self, store: Store, path: str) -> _Place:
        parts = path.strip("/").split("/")
        group = "/".join(parts[1:2] if parts[0] == "api" else parts[1:3])
        rest = parts[2:] if parts[0] == "api" else parts[3:]
        namespace = ""
        if rest[:1] == ["namespaces"] and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        plural, name, sub = [*rest, "", "", ""][:3]
        if plural not in store.kinds.get(group, {}):
            raise RefusalError(404, "NotFound", "the server could not find the requested resource")
        return _Place(group, plural, namespace, name, sub)

    def _do(self, store: Store, path: str, query: Json, body: Json) -> tuple[int, Json]:
        if found := _discovery(store, path):
            return 200, found
        if path.endswith("/selfsubjectaccessreviews"):
            asked = body["spec"]["resourceAttributes"]
            allowed = (asked["verb"], asked["resource"]) not in self.server.fake.forbidden  # type: ignore[attr-defined]
            return 201, {**body, "status": {"allowed": allowed}}
        at = self._place(store, path)
        if at.sub == "eviction" and self.command == "POST":
            return 201, _evict(store, at, body)
        if at.sub not in ("", "status"):
            raise RefusalError(404, "NotFound", "the server could not find the requested resource")
        if self.command == "GET":
            return 200, store.get(at.plural, at.name, at.namespace) if at.name else _list(store, at, query)
        return (201 if self.command == "POST" else 200), self._change(store, at, body, dry=query.get("dryRun") == "All")

    def _change(self, store: Store, at: _Place, body: Json, *, dry: bool) -> Json:
        status = at.sub == "status"
        if self.command == "POST":
            if body.get("kind") != store.kinds[at.group][at.plural][0] or body.get("apiVersion") != at.group:
                raise RefusalError(400, "BadRequest", f"the object in the request is no {at.plural} of {at.group}")
            return store.create(at.plural, body, at.namespace, dry=dry)
        if self.command == "PUT":
            return store.update(at.plural, body, at.namespace, dry=dry, status=status)
        if self.command == "PATCH":
            if self.headers.get("Content-Type") not in MERGE:
                raise RefusalError(415, "UnsupportedMediaType", f"only {MERGE[0]} is simulated")
            return store.patch(at.plural, at.name, body, at.namespace, dry=dry, status=status)
        if dry and not body:  # as the real one: what is asked in the query counts only where there is no body
            body = {"dryRun": ["All"]}
        return store.delete(at.plural, at.name, at.namespace, body)

    def _watch(self, store: Store, at: _Place, query: Json) -> None:
        ended: threading.Event = self.server.ended  # type: ignore[attr-defined]
        deadline = time.monotonic() + float(query.get("timeoutSeconds", 60))
        since = int(query.get("resourceVersion") or store.version)
        events = store.events(at.plural, since, lambda: ended.is_set() or time.monotonic() > deadline)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for event in events:
                if event is not None and _fits(event[1], at, query):
                    self._chunk({"type": event[0], "object": event[1]})
        except RefusalError as error:
            self._chunk({"type": "ERROR", "object": _status(error)})
        except OSError:
            self.close_connection = True
            return
        self.wfile.write(b"0\r\n\r\n")

    def _chunk(self, event: Json) -> None:
        line = json.dumps(event).encode() + b"\n"
        self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
        self.wfile.flush()

    def _say(self, status: int, body: Json) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


def _fits(found: Json, at: _Place, query: Json) -> bool:
    return (
        at.namespace in ("", found["metadata"].get("namespace", ""))
        and labelled(found, query.get("labelSelector", ""))
        and fielded(found, query.get("fieldSelector", ""))
    )


def _list(store: Store, at: _Place, query: Json) -> Json:
    with store.lock:
        items = [found for found in store.all(at.plural, at.namespace) if _fits(found, at, query)]
        kind = store.kinds[at.group][at.plural][0]
        about = {"resourceVersion": str(store.version)}
    return {"apiVersion": at.group, "kind": f"{kind}List", "metadata": about, "items": items}


def _evict(store: Store, at: _Place, body: Json) -> Json:
    with store.lock:
        pod = store.get("pods", at.name, at.namespace)
        for budget in store.all("poddisruptionbudgets", at.namespace):
            if chosen(pod, budget["spec"]["selector"]) and budget.get("status", {}).get("disruptionsAllowed", 0) < 1:
                message = "Cannot evict pod as it would violate the pod's disruption budget."
                raise RefusalError(429, "TooManyRequests", message)
        store.delete("pods", at.name, at.namespace, body.get("deleteOptions"))
        for budget in store.all("poddisruptionbudgets", at.namespace):
            if chosen(pod, budget["spec"]["selector"]):
                allowed = budget["status"]["disruptionsAllowed"] - 1
                patch = {"status": {"disruptionsAllowed": allowed}}
                store.patch("poddisruptionbudgets", budget["metadata"]["name"], patch, at.namespace, status=True)
    return {"apiVersion": "v1", "kind": "Status", "status": "Success", "code": 201}


def _discovery(store: Store, path: str) -> Json | None:
    parts = path.strip("/").split("/")
    if parts[0] == "version":
        return {"major": "1", "minor": "30", "gitVersion": "v1.30.0-simulated"}
    group = "/".join(parts[1:])
    if parts[0] not in ("api", "apis") or group not in store.kinds:
        return None
    resources = [
        {"name": plural, "kind": kind, "namespaced": spaced, "verbs": ["get", "list", "watch", "patch", "create"]}
        for plural, (kind, spaced) in store.kinds[group].items()
    ]
    if group == "v1":
        resources.append({"name": "pods/eviction", "kind": "Eviction", "group": "policy", "version": "v1", "verbs": []})
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group, "resources": resources}


def _status(error: RefusalError) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Status",
        "status": "Failure",
        "message": error.message,
        "reason": error.reason,
        "code": error.status,
    }
