"""What service.overload sends, as a real server gets it."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from executor.drivers.targets import ProcessTarget
from executor.faults.behaviour import Context
from executor.faults.registry import behaviour
from executor.kernel import child, locate, process
from executor.model.faults.service import CapacitySearch, Overload
from executor.model.system import ProcessInstance, Service, System
from tests.executor.kit import free_port, until
from tests.missing import missing

SERVER = """
import http.server, json, os, sys

class Takes(http.server.BaseHTTPRequestHandler):
    def take(self):
        size = self.headers.get("content-length")
        got = [self.command, self.path, self.headers.get("content-type"), size]
        line = json.dumps([*got, self.rfile.read(int(size or 0)).decode()])
        os.write(1, line.encode() + b"\\n")  # whole, whatever other threads write
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()
    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = take
    def log_message(self, *_): pass

http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Takes).serve_forever()
"""
BODY = "name=a\0cup&note=für\nzwei"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[ProcessTarget, Path]]:
    port, got = free_port(), tmp_path / "got"
    with got.open("wb") as out:
        started = subprocess.Popen([sys.executable, "-c", SERVER, str(port)], stdout=out)
    try:
        instance = ProcessInstance(id="it-1", port=port)
        until(lambda: locate.heads_of(instance))
        found = locate.find(instance)
        yield ProcessTarget(Service(name="it", instances=(instance,)), "it-1", found.pid, found.start_ticks, port), got
    finally:
        started.kill()
        started.wait()


def _sent(fault: Overload, server: tuple[ProcessTarget, Path], scratch: Path) -> list[Any]:
    """What the server got of each request until the fault was undone, whole ones only."""
    target, got = server
    how = behaviour(fault.kind)
    record = how.prepare(
        fault, target, Context(System(name="s", services=(target.service,)), "murphy-overload-1", str(scratch))
    )
    record |= how.inject(json.loads(json.dumps(record)), 60)
    try:
        until(lambda: len(got.read_text().splitlines()) > 5)
    finally:
        how.revert(record)
    assert child.living(Path(record["deadline"])) == []
    return [json.loads(line) for line in got.read_text().splitlines()[:5]]


def test_a_search_that_was_held_up_does_not_send_in_one_go_what_it_missed(
    server: tuple[ProcessTarget, Path], tmp_path: Path
) -> None:
    """180 requests in 0.9 s: with them, twice as many as are allowed would come in the next second."""
    fault = Overload(rate_rps=200, concurrency=1000, search=CapacitySearch(good_within_ms=500, start_rps=200))
    target, got = server
    how = behaviour(fault.kind)
    record = how.prepare(
        fault, target, Context(System(name="s", services=(target.service,)), "murphy-overload-1", str(tmp_path))
    )
    record |= how.inject(record, 60)

    def count() -> int:
        return got.read_bytes().count(b"\n")

    try:
        until(lambda: count() > 20)
        ((pid, ticks),) = record["helpers"]
        process.send(pid, ticks, signal.SIGSTOP)
        time.sleep(0.9)
        before, since = count(), time.monotonic()
        process.send(pid, ticks, signal.SIGCONT)
        until(lambda: time.monotonic() > since + 0.3)
        assert count() - before <= 200 * (time.monotonic() - since) + 40
    finally:
        how.revert(record)
    assert child.living(Path(record["deadline"])) == []


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_a_request_with_a_body(method: Any, server: tuple[ProcessTarget, Path], tmp_path: Path) -> None:
    fault = Overload(rate_rps=100, method=method, path="/orders?a=1", body=BODY, content_type="application/x; a=b")
    size = str(len(BODY.encode()))
    assert _sent(fault, server, tmp_path) == [[method, "/orders?a=1", "application/x; a=b", size, BODY]] * 5


@pytest.mark.parametrize(
    ("method", "size"), [("GET", None), ("HEAD", None), ("DELETE", None), ("POST", "0")], ids=lambda value: str(value)
)
def test_a_request_without_a_body(method: Any, size: Any, server: tuple[ProcessTarget, Path], tmp_path: Path) -> None:
    assert _sent(Overload(rate_rps=100, method=method), server, tmp_path) == [[method, "/", None, size, ""]] * 5


NGINX = """
daemon off; pid {0}/pid; error_log {0}/error.log; events {{}}
http {{
    log_format asked '$status $http_host'; access_log {0}/asked.log asked;
    client_body_temp_path {0}/a; proxy_temp_path {0}/b; fastcgi_temp_path {0}/c; uwsgi_temp_path {0}/d;
    scgi_temp_path {0}/e;
    server {{ listen {1}; location / {{ return 200; }} }}
}}
"""


@pytest.mark.parametrize("address", ["127.0.0.1", "[::1]"])
def test_a_strict_server_finds_nothing_wrong_with_it(address: str, tmp_path: Path) -> None:
    if shutil.which("nginx") is None:
        missing("there is no nginx")
    port, asked, config = free_port(), tmp_path / "asked.log", tmp_path / "nginx.conf"
    config.write_text(NGINX.format(tmp_path, f"{address}:{port}"))
    command = ["nginx", "-e", str(tmp_path / "error.log"), "-c", str(config), "-g", "master_process off;"]
    started = subprocess.Popen(command)
    try:
        instance = ProcessInstance(id="it-1", port=port)
        until(lambda: locate.heads_of(instance))
        found = locate.find(instance)
        service = Service(name="it", instances=(instance,))
        target = ProcessTarget(service, "it-1", found.pid, found.start_ticks, port)
        how = behaviour("service.overload")
        record = how.prepare(
            Overload(rate_rps=100),
            target,
            Context(System(name="s", services=(service,)), "murphy-overload-2", str(tmp_path)),
        )
        record |= how.inject(record, 60)
        try:
            until(lambda: len(asked.read_text().splitlines()) > 5)
        finally:
            how.revert(record)
        assert asked.read_text().splitlines()[:5] == [f"200 {address}:{port}"] * 5
    finally:
        started.kill()
        started.wait()


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"body": "x"}, "a GET has no body"),
        ({"body": "x", "method": "DELETE"}, "a DELETE has no body"),
        ({"body": '{"user": {"password": "x"}}', "method": "POST"}, "held a secret"),
        ({"body": '[{"note": "postgresql://u:p@db/x"}]', "method": "POST"}, "held a secret"),
        ({"body": "name=a&api_key=b", "method": "POST"}, "held a secret"),
        ({"path": "/?token=abc"}, "held a secret"),
        ({"body": "x" * 4001, "method": "POST"}, "at most 4000"),
        ({"body": "x", "method": "POST", "content_type": "a\r\nX-B: 1"}, "must be plain printable text"),
    ],
)
def test_what_no_request_may_carry_is_refused(given: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        Overload(rate_rps=10, **given)


def test_what_is_only_called_like_a_secret_may_be_sent() -> None:
    for body in ('{"password": ""}', '{"tokens_max": 3, "author": "x"}', "[" * 3000, "key=1&page=2"):
        assert Overload(rate_rps=10, method="POST", body=body).body == body


def test_who_signs_reads_that_what_is_written_stays() -> None:
    said = Overload(rate_rps=10, method="POST", path="/orders").words()
    assert said == (
        "send it 10 POST requests a second for /orders, at most 50 at once;"
        " what its POST requests write or remove is not undone"
    )
    for method in ("GET", "HEAD"):
        assert Overload(rate_rps=10, method=method).leaves() == ""
        assert "undone" not in Overload(rate_rps=10, method=method).words()
