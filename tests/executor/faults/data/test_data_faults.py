"""What is particular to single faults on data; the rest is in the contract suite."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import ValidationError

from executor.drivers.targets import ProcessTarget
from executor.errors import UnavailableError
from executor.faults.behaviour import Context
from executor.faults.data import keys, shelf
from executor.faults.registry import behaviour
from executor.kernel import child, process
from executor.model.faults import FaultSpec
from executor.model.faults.data import CacheFlush, ConnectionFailure, Corruption, Lock
from executor.model.system import ProcessInstance, Service, System
from executor.servers import postgresql
from tests.executor.faults import servers
from tests.executor.faults.cases import Bench
from tests.executor.faults.cases.data import PostgresSubject, RedisSubject, RowsSubject
from tests.executor.kit import until


@pytest.fixture
def database(bench: Bench) -> Iterator[PostgresSubject]:
    subject = PostgresSubject(bench.postgres(), PostgresSubject.locked)
    yield subject
    subject.pooled.close()


@pytest.fixture
def rows(bench: Bench) -> Iterator[RowsSubject]:
    subject = RowsSubject(bench.postgres(), RowsSubject.some)
    yield subject
    subject.pooled.close()


@pytest.fixture
def cache(bench: Bench) -> Iterator[RedisSubject]:
    subject = RedisSubject(bench.redis(), RedisSubject.empty)
    yield subject
    subject.pooled.close()


def altered(target: ProcessTarget, **fields: Any) -> ProcessTarget:
    service = Service.model_validate({**target.service.model_dump(), **fields})
    return ProcessTarget(service, target.instance, target.pid, target.start_ticks, target.port)


def why_not(fault: FaultSpec, target: ProcessTarget) -> str:
    how = behaviour(fault.model_dump()["kind"])
    reason = how.unsupported(fault, target)
    assert reason is not None
    with pytest.raises(UnavailableError, match=r"\w") as caught:
        how.prepare(fault, target, context(target, Path("/nonexistent")))
    assert str(caught.value) == reason
    return reason


def context(target: ProcessTarget, path: Path) -> Context:
    return Context(System(name="s", services=(target.service,)), f"murphy-data-{os.getpid()}", str(path))


@contextmanager
def injected(fault: FaultSpec, target: ProcessTarget, path: Path) -> Iterator[dict[str, Any]]:
    how = behaviour(fault.model_dump()["kind"])
    record = how.prepare(fault, target, context(target, path))
    record |= how.inject(record, 60)
    yield record
    how.revert(record)
    assert how.active(record) is False


def test_what_is_not_supported_is_said(database: PostgresSubject, cache: RedisSubject) -> None:
    server, redis = database.resolved(), cache.resolved()
    assert "not known to be PostgreSQL" in why_not(Lock(table="goods"), altered(server, technology="mysql"))
    assert "has no dsn" in why_not(Lock(table="goods"), altered(server, dsn=None))
    assert "env:NOT_SET_AT_ALL" in why_not(Lock(table="goods"), altered(server, dsn="env:NOT_SET_AT_ALL"))
    assert "has no table nowhere" in why_not(Lock(table="nowhere"), server)
    assert "has no table pg_catalog.pg_class" in why_not(Lock(table="pg_catalog.pg_class"), server)
    assert "neither disposable nor backed up" in why_not(CacheFlush(), altered(redis, disposable=False))
    assert "has no key nothing:*" in why_not(CacheFlush(pattern="nothing:*"), redis)
    assert "is not known here" in why_not(ConnectionFailure(), altered(server, technology="mysql"))


def test_a_dsn_to_another_server_is_refused(database: PostgresSubject, cache: RedisSubject) -> None:
    """The connection string leads somewhere, and not to the process that was approved."""
    for fault, target in ((Lock(table="goods"), database.resolved()), (CacheFlush(), cache.resolved())):
        parent = os.getpid()
        ticks = int(Path(f"/proc/{parent}/stat").read_text().rpartition(")")[2].split()[19])
        elsewhere = ProcessTarget(target.service, target.instance, parent, ticks, target.port)
        assert "leads to another server" in why_not(fault, elsewhere)


def test_a_connection_string_is_never_quoted(database: PostgresSubject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_POSTGRES", "canary password=canary nonsense")
    assert "canary" not in why_not(Lock(table="goods"), database.resolved())
    monkeypatch.setenv("TEST_POSTGRES", f"host=127.0.0.1 port={database.server.port} user=canari password=canary")
    assert "canary" not in why_not(Lock(table="goods"), database.resolved())


def test_a_lost_reference_is_named_and_the_revert_stays_owed(
    database: PostgresSubject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    how = behaviour("data.connection_failure")
    with injected(ConnectionFailure(), database.resolved(), tmp_path) as record:
        with monkeypatch.context() as forgotten:
            forgotten.delenv("TEST_POSTGRES")
            assert how.active(record) is None
            with pytest.raises(UnavailableError, match="env:TEST_POSTGRES"):
                how.revert(record)
        assert how.active(record) is True


def test_waiting_for_a_lock_ends(database: PostgresSubject, tmp_path: Path) -> None:
    target, how = database.resolved(), behaviour("data.lock")
    record = how.prepare(Lock(table="goods"), target, context(target, tmp_path))
    with psycopg.connect(database.server.url()) as other:
        other.execute("LOCK TABLE goods IN ACCESS SHARE MODE")
        with pytest.raises(UnavailableError, match="lock timeout"):
            how.inject(record, 60)
    how.revert(record)
    assert how.active(record) is False
    until(database.normal)


def test_a_lock_whose_helper_is_killed_goes_with_it(database: PostgresSubject, tmp_path: Path) -> None:
    how = behaviour("data.lock")
    with injected(Lock(table="goods", mode="EXCLUSIVE"), database.resolved(), tmp_path) as record:
        assert how.active(record) is True
        (helper,) = child.living(Path(record["deadline"]))
        process.send(helper.pid, helper.start_ticks, signal.SIGKILL)
        until(lambda: how.active(record) is False)
        until(database.normal)


def test_a_lock_whose_helper_hangs_is_ended_by_the_server(database: PostgresSubject, tmp_path: Path) -> None:
    target, how = database.resolved(), behaviour("data.lock")
    record = how.prepare(Lock(table="goods"), target, context(target, tmp_path))
    how.inject(record, 2.0)
    (helper,) = child.living(Path(record["deadline"]))
    process.send(helper.pid, helper.start_ticks, signal.SIGSTOP)
    until(database.normal, what="the server does not end the silent session")
    how.revert(record)
    assert how.active(record) is False


def test_a_lock_given_to_a_helper_that_hung_while_it_waited_is_ended_by_the_server(
    database: PostgresSubject, tmp_path: Path
) -> None:
    target, how = database.resolved(), behaviour("data.lock")
    record = how.prepare(Lock(table="goods"), target, context(target, tmp_path))
    with psycopg.connect(database.server.url()) as other, ThreadPoolExecutor() as thread:
        other.execute("LOCK TABLE goods IN ACCESS SHARE MODE")
        making = thread.submit(how.inject, record, 2.0)
        waiting = "SELECT 1 FROM pg_stat_activity WHERE application_name = %s AND wait_event_type = 'Lock'"
        until(lambda: database.server.ask(waiting, record["name"]))
        (helper,) = child.living(Path(record["deadline"]))
        process.send(helper.pid, helper.start_ticks, signal.SIGSTOP)
        other.rollback()
        until(lambda: how.active(record), what="it does not get the lock")
        until(database.normal, what="the server does not end the silent session")
        how.revert(record)
        with pytest.raises(UnavailableError):
            making.result()
    assert how.active(record) is False


def test_rows_or_a_mode_of_the_table() -> None:
    with pytest.raises(ValidationError, match="leave out mode"):
        Lock(table="goods", mode="EXCLUSIVE", rows=5)
    assert Lock(table="goods", rows=10).at(0.25) == Lock(table="goods", rows=2)
    assert Lock(table="goods").at(0.25) is None
    assert "10 rows of table goods" in Lock(table="goods", rows=10).words()


def test_rows_that_somebody_else_has_are_passed_over(rows: RowsSubject, tmp_path: Path) -> None:
    """Their locks are not taken for ours, either."""
    target, how, fault = rows.resolved(), behaviour("data.lock"), Lock(table="goods", rows=5)
    with psycopg.connect(rows.server.url()) as other:
        other.execute("SELECT FROM goods WHERE id > 3 FOR UPDATE")
        assert how.active(how.prepare(fault, target, context(target, tmp_path))) is False
        with injected(fault, target, tmp_path) as record:
            assert how.active(record) is True
            other.rollback()
            assert rows.waiting() == [1, 2, 3]
            assert how.active(record) is True
        assert rows.waiting() == []
        other.execute("SELECT FROM goods FOR UPDATE")
        record = how.prepare(fault, target, context(target, tmp_path))
        with pytest.raises(UnavailableError, match="goods has no row that nobody else has locked"):
            how.inject(record, 60)
        assert how.active(record) is False
        how.revert(record)
    assert rows.normal()


def test_who_refers_to_a_locked_row_waits_too(rows: RowsSubject, tmp_path: Path) -> None:
    with (
        psycopg.connect(rows.server.url()) as session,
        injected(Lock(table="goods", rows=5), rows.resolved(), tmp_path),
    ):
        session.execute("SET LOCAL lock_timeout = '100ms'")
        for key, waits in ((rows.waiting()[0], True), (min({*range(1, 21)} - {*rows.waiting()}), False)):
            with pytest.raises(psycopg.errors.LockNotAvailable) if waits else nullcontext(), session.transaction():
                session.execute("SELECT FROM goods WHERE id = %s FOR KEY SHARE", (key,))  # as a foreign key does


@pytest.mark.slow
def test_rows_of_a_helper_that_hangs_are_let_go_by_the_server(rows: RowsSubject, tmp_path: Path) -> None:
    target, how = rows.resolved(), behaviour("data.lock")
    record = how.prepare(Lock(table="goods", rows=5), target, context(target, tmp_path))
    how.inject(record, 5.0)
    (helper,) = child.living(Path(record["deadline"]))
    process.send(helper.pid, helper.start_ticks, signal.SIGSTOP)
    assert len(rows.waiting()) == 5
    until(rows.normal, what="the server does not end the silent session")
    until(lambda: how.active(record) is None, what="the helper lives still, so nobody can tell")
    how.revert(record)
    assert how.active(record) is False


def test_rows_are_chosen_by_chance_of_a_large_table_too(rows: RowsSubject, tmp_path: Path) -> None:
    """Of one larger than what is read of it, and with names that have to be quoted."""
    locked: list[set[int]] = []
    ask = 'SELECT id FROM "Large" ORDER BY id FOR UPDATE SKIP LOCKED'
    filled = "repeat(md5(n::text), 60) AS filler FROM generate_series(1, 12000) n"  # 24 MB, too short to be compressed
    with psycopg.connect(rows.server.url(), autocommit=True) as session:
        session.execute(f'CREATE TABLE "Large" AS SELECT n AS id, {filled}')
        try:
            for mark in ("a", "b"):
                how, target = behaviour("data.lock"), rows.resolved()
                made = Context(rows.system, f"murphy-data-{os.getpid()}-{mark}", str(tmp_path))
                record = how.prepare(Lock(table="Large", rows=100), target, made)
                record = {**record, **how.inject(record, 60)}
                free = {key for (key,) in session.execute(ask).fetchall()}
                locked.append({*range(1, 12001)} - free)
                how.revert(record)
        finally:
            session.execute('DROP TABLE "Large"')
    assert [len(some) for some in locked] == [100, 100]
    assert locked[0] != locked[1]
    assert max(locked[0]) - min(locked[0]) > 1000


def test_rows_that_cannot_be_locked_are_said(rows: RowsSubject, monkeypatch: pytest.MonkeyPatch) -> None:
    server, fault = rows.resolved(), Lock(table="goods", rows=5)
    with psycopg.connect(rows.server.url(), autocommit=True) as session:
        session.execute("CREATE TABLE parts (n int) PARTITION BY RANGE (n)")
        try:
            assert "parts is partitioned" in why_not(Lock(table="parts", rows=5), server)
        finally:
            session.execute("DROP TABLE parts")
    monkeypatch.setenv("TEST_POSTGRES", f"{rows.server.url()}?options=-c%20default_transaction_read_only%3Don")
    assert "only read" in why_not(fault, server)
    monkeypatch.setenv("TEST_POSTGRES", rows.server.url("clerk").replace("clerk@", f"clerk:{rows.server.password}@"))
    assert "does not let this role lock rows of goods" in why_not(fault, server)


def test_a_server_whose_host_vanishes_is_not_waited_for_forever(database: PostgresSubject) -> None:
    """The kernel ends the connection; on one machine a host cannot vanish, so what it was told is looked at."""
    with postgresql.session("env:TEST_POSTGRES") as session, socket.socket(fileno=os.dup(session.fileno())) as line:
        assert line.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 10_000
        assert line.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 5
        assert session.execute("SHOW statement_timeout").fetchone() == ("10s",)
        assert session.execute("SHOW lock_timeout").fetchone() == ("3s",)


def test_sessions_of_murphy_and_of_administrators_are_left_alone(database: PostgresSubject, tmp_path: Path) -> None:
    url = database.server.url
    with (
        psycopg.connect(url(), application_name="murphy-other", autocommit=True) as ours,
        psycopg.connect(url("postgres"), autocommit=True) as administrator,
        injected(ConnectionFailure(), database.resolved(), tmp_path) as record,
    ):
        assert record["ended"] == 1
        assert database.cut()
        assert ours.execute("SELECT 1").fetchone() == administrator.execute("SELECT 1").fetchone() == (1,)


def test_keys_that_the_application_wrote_anew_are_kept(cache: RedisSubject, tmp_path: Path) -> None:
    with (
        injected(CacheFlush(pattern="product:*"), cache.resolved(), tmp_path) as record,
        cache.server.client() as client,
    ):
        assert record["taken"] == 301
        client.set("product:1", "anew")
        client.set("product:cold", "anew")
    with cache.server.client() as client:
        assert (client.get("product:1"), client.get("product:2")) == (b"anew", b"product 2")
        assert (client.get("product:cold"), client.ttl("product:cold")) == (b"anew", -1)


def test_a_key_that_would_have_expired_does_not_come_back(cache: RedisSubject, tmp_path: Path) -> None:
    with cache.server.client() as client:
        client.set("brief:1", "x", px=1500)
    with injected(CacheFlush(pattern="brief:*"), cache.resolved(), tmp_path) as record, cache.server.client() as client:
        (kept,) = shelf.read(Path(record["shelf"])).values()
        until(lambda: keys.now_ms(client) > kept.expires_ms)
    with cache.server.client() as client:
        assert client.exists("brief:1") == 0


def test_too_much_is_refused(cache: RedisSubject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "MOST_KEYS", 300)
    assert "more than 300 keys are meant" in why_not(CacheFlush(pattern="product:*"), cache.resolved())
    monkeypatch.setattr(keys, "MOST_KEYS", 1000)
    monkeypatch.setattr(keys, "MOST_BYTES", 1000)
    assert "0 MiB would go, 0 at most" in why_not(CacheFlush(pattern="product:*"), cache.resolved())


def test_a_shelf_cut_short_by_a_crash_is_read(tmp_path: Path) -> None:
    file = tmp_path / "shelf"
    keys = {b"a": shelf.Kept(b"\x00\xff", 0), b"b": shelf.Kept(b"2", 5)}
    shelf.add(file, keys)
    shelf.forget(file, [b"b"])
    with file.open("a") as stream:
        stream.write('["Yw==", "M')
    assert shelf.read(file) == {b"a": keys[b"a"]}


def test_an_instance_without_a_port_in_the_system_is_found_by_its_server(cache: RedisSubject) -> None:
    """The dsn decides, checked against the process: a port in system.yaml is not needed."""
    target = cache.resolved()
    instance = ProcessInstance(id="redis-1", pid=target.pid, start_ticks=target.start_ticks)
    service = Service.model_validate({**target.service.model_dump(), "instances": (instance,)})
    assert (
        behaviour("data.cache_flush").unsupported(
            CacheFlush(), ProcessTarget(service, "redis-1", target.pid, target.start_ticks, None)
        )
        is None
    )


def test_a_database_that_is_renamed_meanwhile_lets_clients_in_again(database: PostgresSubject, tmp_path: Path) -> None:
    """It can be renamed only while nobody is in it, so just now."""
    with psycopg.connect(database.server.url("postgres", "postgres"), autocommit=True) as session:
        session.execute("CREATE DATABASE moving OWNER shop STRATEGY file_copy")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TEST_POSTGRES", database.server.url(database="moving"))
            with injected(ConnectionFailure(), database.resolved(), tmp_path):
                session.execute("ALTER DATABASE moving RENAME TO moved")
        assert session.execute("SELECT datallowconn FROM pg_database WHERE datname = 'moved'").fetchone() == (True,)
        session.execute("DROP DATABASE moved WITH (FORCE)")


def test_a_database_that_says_not_how_its_texts_are_encoded(
    database: PostgresSubject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``initdb`` makes such ones (SQL_ASCII) where no language is set; names come as bytes then, unless asked for."""
    with psycopg.connect(database.server.url("postgres", "postgres"), autocommit=True) as session:
        session.execute("CREATE DATABASE legacy OWNER shop TEMPLATE template0 ENCODING 'SQL_ASCII' STRATEGY file_copy")
        try:
            with psycopg.connect(database.server.url(database="legacy")) as shop:
                shop.execute(servers.TABLE)
            monkeypatch.setenv("TEST_POSTGRES", database.server.url(database="legacy"))
            for fault in (Lock(table="goods"), Corruption(table="goods"), ConnectionFailure()):
                with injected(fault, database.resolved(), tmp_path) as record:
                    assert behaviour(fault.model_dump()["kind"]).active(record) is True
        finally:
            session.execute("DROP DATABASE legacy WITH (FORCE)")
