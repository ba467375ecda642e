"""PostgreSQL's primary dies before a streaming replica: promoted or not, with writes kept, lost, or written twice."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import ClassVar

import anyio
import psycopg
import pytest

from executor.errors import UnavailableError
from executor.kernel import locate, process
from executor.measure.writing import numbers_in, record_id
from executor.model.criteria import RecoversWithin
from executor.model.data_check import DataCheck, SqlQuery, filled
from executor.model.evidence import Evidence
from executor.model.faults.service import Crash
from executor.model.plan import InstanceTarget
from executor.model.probe import Check, HttpProbe
from executor.model.system import Dependency, ProcessInstance, Service, System
from executor.model.vocabulary import ServiceKind, Verdict
from executor.probes.answer import Answer
from executor.probes.ask import ask, open_client
from executor.state.home import Home
from tests.executor.faults import servers
from tests.executor.faults.servers import Postgres, Replica
from tests.executor.kit import until
from tests.executor.measure.validators.parts import both
from tests.executor.measure.validators.scenes import Part, carried_out, experiment, running, said

DSN = "MURPHY_TEST_RECOVERY_DSN"
READ = "SELECT id FROM kept WHERE id::text LIKE '{prefix}%'"


class Waiting(Postgres):
    """Acknowledges what its replica has, too."""

    more: ClassVar[dict[str, str]] = {"synchronous_standby_names": "*"}


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    with servers.directory() as path:
        yield path


@pytest.fixture(scope="module")
def cluster(root: Path) -> Path:
    """With a table that keeps whatever comes."""
    return servers.cluster_in(root, "CREATE TABLE kept (id uuid)")


@pytest.fixture
def server(root: Path, cluster: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Postgres]:
    made = Postgres(root, cluster)
    monkeypatch.setenv(DSN, made.url())
    yield made
    made.end()


@contextmanager
def pair(kind: type[Postgres], root: Path, cluster: Path) -> Iterator[tuple[Postgres, Replica]]:
    """A primary, which Murphy may start again, and its replica."""
    primary = kind(root, cluster)
    threading.Thread(target=primary.process.wait, daemon=True).start()  # PostgreSQL starts only once its pid is free
    try:
        replica = Replica(root, cluster, primary)
        try:
            until(lambda: primary.ask("SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'"))
            yield primary, replica
        finally:
            replica.end()
    finally:
        primary.end()
        with suppress(UnavailableError):
            again = locate.find(ProcessInstance(id="again", port=primary.port))
            process.send(again.pid, again.start_ticks, signal.SIGKILL)
            process.wait_gone(again.pid, again.start_ticks, 10)


def system_of(primary: Postgres, replica: Replica, front: Part) -> System:
    probe = HttpProbe(url=front.url(), answered_by="X-Served-By", timeout_ms=3000)
    write = SqlQuery(dsn=f"env:{DSN}", query="INSERT INTO kept VALUES ('{id}')")
    kept = DataCheck(id="kept", service="db", write=write, read=SqlQuery(dsn=f"env:{DSN}", query=READ))
    instances = tuple(ProcessInstance(id=i, port=p.port) for i, p in (("primary", primary), ("replica", replica)))
    check = Check(id="front", service="front", probe=probe, rate_hz=10)
    return System(
        name="orders",
        services=(
            Service(name="front", instances=(front.instance,), operations=(check,)),
            Service(name="db", kind=ServiceKind.DATABASE, instances=instances, data_checks=(kept,)),
        ),
        dependencies=(Dependency(caller="front", callee="db", protocol="postgresql", port=primary.port),),
    )


def primary_dies(home: Home, primary: Postgres, replica: Replica, *more: Part) -> Evidence:
    front = Part("front", "face", primary.port, replica.port)
    with running(front, *more):
        system = system_of(primary, replica, front)
        promised = RecoversWithin(checks=("front",), within_s=1.8, since="injected")
        target = InstanceTarget(service="db", ids=("primary",))
        asked = experiment(system, Crash(restart="murphy"), [target], promised, duration_s=3.0)
        return carried_out(home, system, asked)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("promotes", "failover", "kept", "words"),
    [
        ("fences", Verdict.HOLDS, Verdict.HOLDS, "primary answered before, replica under the fault"),
        ("careless", Verdict.BREAKS, Verdict.BREAKS, "acknowledged writes lost"),
        ("", Verdict.BREAKS, Verdict.HOLDS, "nobody served steadily"),
    ],
)
def test_a_primary_dies(
    promotes: str,
    failover: Verdict,
    kept: Verdict,
    words: str,
    root: Path,
    cluster: Path,
    home: Home,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A promotion without fencing leaves two primaries: what the new one acknowledged is not in the old one."""
    kind = Waiting if promotes == "fences" else Postgres
    with ExitStack() as stack:
        primary, replica = stack.enter_context(pair(kind, root, cluster))
        monkeypatch.setenv(DSN, both(primary.port, replica.port))
        more = [Part("promoter", "promoter", primary.port, replica.port, primary.data, promotes)] if promotes else []
        evidence = primary_dies(home, primary, replica, *more)
    over, data = said(evidence, "failover")["front"], said(evidence, "data_consistency")["kept"]
    assert data.verdict is kept, data
    assert over.verdict is failover, over
    assert words in over.measured


def asked(query: SqlQuery, *, writes: bool = False) -> Answer:
    async def once() -> Answer:
        async with open_client() as client:
            return await ask(query, client, writes=writes)

    return anyio.run(once)


def query(text: str, **fields: object) -> SqlQuery:
    return SqlQuery(**{"dsn": f"env:{DSN}", "query": text, **fields})


def test_a_record_is_committed_when_it_is_acknowledged_and_read_without_writing(server: Postgres) -> None:
    write = query("INSERT INTO kept VALUES ('{id}')")
    for number in (1, 2, 2):
        assert asked(filled(write, "{id}", record_id("mark", number)), writes=True).ok
    read = asked(filled(query(READ), "{prefix}", record_id("mark", 1)[:-6]))
    assert numbers_in(read.body.decode(), "mark") == [1, 2, 2]
    assert asked(query("SELECT count(*) = 3 FROM kept")).body == b"True"
    refused = asked(query("DELETE FROM kept RETURNING id"))
    assert (refused.ok, "read-only transaction" in refused.error) == (False, True)
    assert asked(query("SELECT count(*) = 3 FROM kept")).body == b"True"


@pytest.mark.parametrize(
    "text",
    [
        "COMMIT; DELETE FROM kept",
        "SELECT true; COMMIT; INSERT INTO kept DEFAULT VALUES",
        "ROLLBACK; BEGIN READ WRITE; DELETE FROM kept; COMMIT",
        "SET TRANSACTION READ WRITE",
    ],
)
def test_a_reading_does_not_leave_its_transaction(server: Postgres, text: str) -> None:
    """Several statements in one could end it, and write in the next."""
    assert asked(query("INSERT INTO kept DEFAULT VALUES"), writes=True).ok
    assert not asked(query(text)).ok
    assert asked(query("SELECT count(*) = 1 FROM kept")).body == b"True"


def test_why_a_write_failed_is_said_without_the_row(server: Postgres) -> None:
    with psycopg.connect(server.url()) as session:
        session.execute("CREATE TABLE strict (id uuid NOT NULL, token text DEFAULT 'canary')")
    answer = asked(query("INSERT INTO strict (id) VALUES (NULL)"), writes=True)
    assert (answer.ok, "not-null constraint" in answer.error) == (False, True)
    assert "canary" not in answer.error


def test_a_percent_sign_and_a_last_semicolon_are_part_of_a_statement(server: Postgres) -> None:
    assert asked(query("SELECT 'a%sb' LIKE 'a%%';")).body == b"True"


def test_a_server_that_holds_a_write_up_is_left_in_time_and_with_no_session(server: Postgres) -> None:
    """A lock would otherwise hold one session more for each record."""
    sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'shop' AND application_name = 'murphy'"
    with psycopg.connect(server.url()) as session:
        session.execute("LOCK TABLE kept")
        answer = asked(query("INSERT INTO kept DEFAULT VALUES", timeout_ms=600), writes=True)
        assert not answer.ok
        assert answer.latency_ms < 2000
        until(lambda: server.ask(sessions) == [(0,)], 5)


def test_a_server_that_stands_still_is_left_in_time(server: Postgres) -> None:
    server.process.send_signal(signal.SIGSTOP)
    try:
        answer = asked(query("SELECT 1", timeout_ms=400))
    finally:
        server.process.send_signal(signal.SIGCONT)
    assert (answer.ok, answer.error) == (False, "no answer within 400 ms")
    assert answer.latency_ms < 1500


@pytest.mark.parametrize("dsn", ["postgresql://shop:canary-word@@127.0.0.1/x", "canary-word", "port=1 canary-word"])
def test_what_is_wrong_is_said_without_the_secret(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DSN, dsn)
    answer = asked(query("SELECT 1"))
    assert not answer.ok
    assert answer.error
    assert "canary" not in answer.error


def test_a_secret_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(DSN, raising=False)
    assert DSN in asked(query("SELECT 1")).error
