"""No run begins, and none goes on, without an error budget that can be read and is not spent."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import anyio
import pytest
from pydantic import ValidationError

from executor.errors import SafetyRefusalError, UnavailableError
from executor.safety import budget as reading
from executor.safety.budget import BudgetGuard, left, refuse_spent
from executor.safety.limits import ErrorBudget
from tests.executor.kit import free_port, until

VECTOR = '{"status":"success","data":{"resultType":"vector","result":[%s]}}'
ONE = VECTOR % '{"metric":{"job":"shop"},"value":[1435781451.781,"%s"]}'


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    status, body, headers, hang = 200, "", {}, False
    queries: list[str] = []  # noqa: RUF012


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self.server.queries.append(self.path)
        if self.server.hang:
            self.server.released.wait(30)
        body = self.server.body.encode()
        self.send_response(self.server.status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[_Server]:
    server = _Server(("127.0.0.1", 0), _Handler)
    server.queries, server.released = [], threading.Event()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.released.set()
    server.shutdown()
    server.server_close()
    thread.join()


def asked(server: _Server, **more: object) -> ErrorBudget:
    return ErrorBudget(source=f"http://127.0.0.1:{server.server_port}", query="budget:left", **more)


def read(budget: ErrorBudget) -> float:
    return anyio.run(left, budget)


def refused(budget: ErrorBudget) -> str:
    with pytest.raises(SafetyRefusalError) as caught:
        anyio.run(refuse_spent, budget)
    assert caught.value.rule == "error budget"
    return str(caught.value)


def test_the_share_left_is_read_as_prometheus_documents_it(server: _Server) -> None:
    server.body = ONE % "0.35"
    assert read(asked(server)) == 0.35
    url = urlsplit(server.queries[0])
    assert (url.path, parse_qs(url.query)) == ("/api/v1/query", {"query": ["budget:left"]})
    server.body = '{"status":"success","data":{"resultType":"scalar","result":[1435781451.781,"-1.5"]}}'
    assert read(asked(server)) == -1.5  # overdrawn


def test_a_budget_below_the_floor_is_refused(server: _Server) -> None:
    server.body = ONE % "0.05"
    assert refused(asked(server, floor=0.2)) == (
        "refused by error budget: 5 % is left, and the limit is at least 20 % (error_budget.floor in limits.toml). "
        f"Wait until the service has been well for longer, or mend http://127.0.0.1:{server.server_port}."
    )
    server.body = ONE % "0.2"
    anyio.run(refuse_spent, asked(server, floor=0.2))


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (200, ONE % "NaN", "nan is no share"),
        (200, ONE % "+Inf", "inf is no share"),
        (200, ONE % "1.01", "1.01 is no share"),
        (200, ONE % "plenty", "could not convert"),
        (200, VECTOR % "", "a vector of 0 values"),
        (200, (ONE % "1").replace("[{", "[{},{"), "a vector of 2 values"),
        (200, '{"status":"success","data":{"resultType":"string","result":[1435781451.781,"0.9"]}}', "a string of 2"),
        (200, '{"status":"error","errorType":"bad_data","error":"unknown"}', "the query failed"),
        (200, '{"status":"success"}', "KeyError"),
        (200, "[" * 100_000, "RecursionError"),
        (200, "all is well", "JSONDecodeError"),
        (200, "", "JSONDecodeError"),
        (200, '"' + "x" * 1_100_000 + '"', "over 1048576 bytes"),
        (500, ONE % "0.9", "status 500"),
        (404, ONE % "0.9", "status 404"),
    ],
)
def test_lies_and_nonsense_are_no_budget(server: _Server, status: int, body: str, words: str) -> None:
    server.status, server.body = status, body
    with pytest.raises(UnavailableError) as caught:
        read(asked(server))
    assert words in str(caught.value)
    assert "it cannot be read" in refused(asked(server))


def test_a_redirect_is_not_followed(server: _Server) -> None:
    server.body = ONE % "0.9"
    server.status, server.headers = 302, {"Location": f"http://localhost:{server.server_port}/elsewhere"}
    assert "status 302" in refused(asked(server))
    assert [path.partition("?")[0] for path in server.queries] == ["/api/v1/query"]


def test_nobody_waits_for_one_that_hangs(server: _Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "READ_S", 0.2)
    server.hang = True
    assert "no answer within 0.2 s" in refused(asked(server))


def test_a_server_that_is_gone_is_no_budget() -> None:
    assert "ConnectError" in refused(ErrorBudget(source=f"http://127.0.0.1:{free_port()}", query="x"))


def test_a_host_that_hands_out_credentials_is_never_asked() -> None:
    assert "probe hosts" in refused(ErrorBudget(source="http://169.254.169.254", query="x"))


def test_a_document_is_read_from_an_address_or_a_file(server: _Server, tmp_path: Path) -> None:
    server.body = '{"left": 0.4}'
    assert read(ErrorBudget(source=f"http://127.0.0.1:{server.server_port}/budget.json")) == 0.4
    assert server.queries == ["/budget.json"]
    file = tmp_path / "budget.json"
    for text, share in (("0.25", 0.25), ('{"left": 1, "more": "x"}', 1.0)):
        file.write_text(text)
        assert read(ErrorBudget(source=str(file))) == share
    for text in ("true", '"0.9"', "{}", "NaN", "[0.9]", "null"):
        file.write_text(text)
        assert "it cannot be read" in refused(ErrorBudget(source=str(file)))
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert "not a regular file" in refused(ErrorBudget(source=str(pipe)))
    assert "No such file" in refused(ErrorBudget(source=str(tmp_path / "none")))


def test_without_a_source_nothing_is_asked() -> None:
    anyio.run(refuse_spent, ErrorBudget())


@pytest.mark.parametrize("fields", [{"source": "http://a:b@host/"}, {"source": "ftp://x/"}, {"query": "x"}])
def test_what_cannot_be_asked_is_no_limit(fields: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        ErrorBudget(**fields)


def test_the_guard_bears_a_failed_reading_but_no_silence_and_no_spent_budget(server: _Server) -> None:
    async def looks() -> None:
        server.body = ONE % "0.5"
        guard = BudgetGuard(asked(server), silent_s=2.0)
        assert await guard.look() is None
        server.status = 500
        assert await guard.look() is None
        await anyio.sleep(2.1)
        violation = await guard.look()
        assert violation is not None
        assert violation.rule == "guard readable"
        server.status = 200
        assert await guard.look() is None  # it came back
        server.body = ONE % "0.01"
        violation = await guard.look()
        assert str(violation) == (
            "error budget: 1 % is left, and the limit is at least 10 % (error_budget.floor in limits.toml)"
        )

    anyio.run(looks)


@contextmanager
def prometheus(directory: Path) -> Iterator[str]:
    """A real server without anything to scrape."""
    config = directory / "prometheus.yml"
    config.write_text("global: {}\n")
    port = free_port()
    command = [
        "prometheus",
        f"--config.file={config}",
        f"--web.listen-address=127.0.0.1:{port}",
        f"--storage.tsdb.path={directory / 'data'}",
    ]
    process = subprocess.Popen(command, cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: _ready(port), what="prometheus does not answer")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def _ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.mark.skipif(
    shutil.which("prometheus") is None and os.environ.get("CI") != "true",
    reason="needs prometheus (Debian: apt-get install prometheus)",
)
def test_a_real_prometheus_is_understood(tmp_path: Path) -> None:
    with prometheus(tmp_path) as source:
        for query, share in (("vector(0.42)", 0.42), ("1 - 0.25", 0.75), ("vector(1) - 2", -1.0)):
            assert read(ErrorBudget(source=source, query=query)) == pytest.approx(share)
        for query, words in (
            ("vector(0) / 0", "nan is no share"),
            ("nobody_scrapes_this", "a vector of 0 values"),
            ("up[5m]", "a matrix of 0"),
            ("not promql at all(", "status 400"),
        ):
            assert words in refused(ErrorBudget(source=source, query=query))
