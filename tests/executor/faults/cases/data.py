"""Faults on data: a real PostgreSQL and a real Redis, with a client that plays the application."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
import redis

from executor.drivers.resolve import resolve
from executor.drivers.targets import ProcessTarget
from executor.model.faults import FaultSpec
from executor.model.faults.data import CacheFlush, ConnectionFailure, Lock
from executor.model.plan import InstanceTarget
from executor.model.system import ProcessInstance, Service, System
from tests.executor.faults.cases import Bench, Case
from tests.executor.faults.servers import Postgres, Redis, Server
from tests.executor.kit import until

_LOCKS = "SELECT mode, relation FROM pg_locks WHERE database = (SELECT oid FROM pg_database WHERE datname = 'shop')"
_SESSIONS = "SELECT usename, application_name FROM pg_stat_activity WHERE datname = 'shop' AND application_name LIKE %s"


def service(server: Server, name: str, technology: str, **fields: Any) -> System:
    instance = ProcessInstance(id=f"{name}-1", port=server.port)
    database = Service(
        name=name, technology=technology, dsn=f"env:TEST_{name.upper()}", instances=(instance,), **fields
    )
    return System(name="shop", services=(database,))


class DataSubject:
    """A server and its application's connection."""

    server: Server
    system: System
    variable: str

    def resolved(self) -> ProcessTarget:
        (target,) = resolve(InstanceTarget(service=self.system.services[0].name), self.system)
        assert isinstance(target, ProcessTarget)
        return target

    def die(self) -> None:
        self.server.end()

    def revive(self) -> None:
        self.server.start()  # type: ignore[attr-defined]


class PostgresSubject(DataSubject):
    def __init__(self, server: Postgres, shows: Callable[[PostgresSubject], bool]) -> None:
        self.server: Postgres = server
        self.shows = shows
        self.system = service(server, "postgres", "postgresql", disposable=True)
        os.environ["TEST_POSTGRES"] = server.url()
        self.pooled = psycopg.connect(server.url(), autocommit=True, application_name="application")
        until(lambda: server.ask(_SESSIONS, "murphy%") == [], what="sessions of the fault before have not ended")

    def normal(self) -> bool:
        try:
            with psycopg.connect(self.server.url(), connect_timeout=5) as session:
                session.execute("SET lock_timeout = '100ms'")
                return session.execute("SELECT count(*) FROM goods").fetchone() == (20,)
        except psycopg.Error:
            return False

    def faulted(self) -> bool:
        return self.shows(self)

    def locked(self) -> bool:
        with psycopg.connect(self.server.url(), connect_timeout=5) as session:
            session.execute("SET lock_timeout = '100ms'")
            try:
                session.execute("SELECT count(*) FROM goods")
            except psycopg.errors.LockNotAvailable:
                return True
        return False

    def unharmed(self) -> bool:
        """Whether another database answers, and another table too where the shop's lets anybody in."""
        if self.server.ask("SELECT 1") != [(1,)]:
            return False
        try:
            with psycopg.connect(self.server.url(), connect_timeout=5) as session:
                session.execute("SET lock_timeout = '100ms'")
                return session.execute("SELECT count(*) FROM others").fetchone() == (20,)
        except psycopg.OperationalError:
            return self.refused()

    def size(self) -> str:
        """How many of five clients it struck."""
        assert all(self.shows(self) for _ in range(5)), "not every client is struck"
        return "every client asked, 5 of 5"

    def refused(self) -> bool:
        try:
            psycopg.connect(self.server.url(), connect_timeout=5).close()
        except psycopg.OperationalError as error:
            return "not currently accepting connections" in str(error) and self.cut()
        return False

    def cut(self) -> bool:
        """Whether the application's pooled session was ended."""
        try:
            self.pooled.execute("SELECT 1")
        except psycopg.OperationalError:
            return True
        return False

    def state(self) -> Any:
        with psycopg.connect(self.server.url()) as session:
            rows = session.execute("SELECT * FROM goods ORDER BY 1").fetchall()
        return {
            "locks": self.server.ask(_LOCKS),
            "sessions": self.server.ask(_SESSIONS, "murphy%"),
            "flags": self.server.ask("SELECT datname, datallowconn, datconnlimit FROM pg_database ORDER BY 1"),
            "roles": self.server.ask("SELECT rolname, rolcanlogin FROM pg_roles ORDER BY 1"),
            "rows": rows,
        }


class RowsSubject(PostgresSubject):
    """What others write a row at a time: each row of the table is tried."""

    def waiting(self) -> list[int]:
        """Keys of the rows for whose writing one would have to wait; nothing is written."""
        waiting = []
        with psycopg.connect(self.server.url(), connect_timeout=5) as session:
            session.execute("SET lock_timeout = '50ms'")
            for key in range(1, 21):
                session.commit()
                try:
                    session.execute("UPDATE goods SET name = name WHERE id = %s", (key,))
                except psycopg.errors.LockNotAvailable:
                    waiting.append(key)
                session.rollback()
        return waiting

    def normal(self) -> bool:
        return super().normal() and self.waiting() == []

    def some(self) -> bool:
        """Whether just the rows that were asked for wait."""
        return len(self.waiting()) == 5

    def unharmed(self) -> bool:
        """Whether all rows are read, the other ones are written together with a new one, and other tables are well."""
        free = sorted({*range(1, 21)} - {*self.waiting()})
        with psycopg.connect(self.server.url(), connect_timeout=5) as session:
            session.execute("SET lock_timeout = '100ms'")
            session.execute("INSERT INTO goods VALUES (21, 'new')")
            written = session.execute("UPDATE goods SET name = name WHERE id = ANY(%s)", (free,)).rowcount
            session.rollback()
            read = session.execute("SELECT count(*) FROM goods").fetchone()
        return (read, written) == ((20,), 15) and super().unharmed()

    def size(self) -> str:
        waiting = len(self.waiting())
        assert waiting == 5
        return f"5 rows asked, {waiting} of 20 cannot be written"


class RedisSubject(DataSubject):
    def __init__(self, server: Redis, shows: Callable[[RedisSubject], bool]) -> None:
        self.server: Redis = server
        self.shows = shows
        self.system = service(server, "redis", "redis", disposable=True)
        os.environ["TEST_REDIS"] = server.url
        self.was_cut = False
        self.pooled = redis.Redis.from_url(server.url, single_connection_client=True, retry=None)
        with server.client() as client:
            client.flushall()
            client.mset({f"product:{n}": f"product {n}" for n in range(300)})
            client.hset("cart:alice", mapping={"3": "2"})
            client.set("product:cold", "x", exat=client.time()[0] + 3600)  # a whole second: it is rounded to one below
            client.set("session:bob", "kept")
            client.acl_setuser("auditor", enabled=True, passwords=["+canary-auditor"], keys=["*"], commands=["+@all"])

    def unharmed(self) -> bool:
        """Whether another user is let in and finds a key that is none of those that were meant."""
        url = self.server.url.replace(f":{self.server.password}", "auditor:canary-auditor")
        with redis.Redis.from_url(url, socket_timeout=5, retry=None) as client:
            return bool(client.get("session:bob") == b"kept")

    def size(self) -> str:
        """How many of the keys that were meant are gone, or how many of five clients it struck."""
        if self.shows is RedisSubject.empty:
            with self.server.client() as client:
                gone = 303 - client.dbsize()
            assert gone == 301
            return f"301 keys asked, {gone} gone"
        assert all(self.shows(self) for _ in range(5)), "not every client is struck"
        return "every client asked, 5 of 5"

    def normal(self) -> bool:
        try:
            with self.server.client() as client:
                return bool(client.dbsize() == 303)
        except redis.RedisError:
            return False

    def faulted(self) -> bool:
        return self.shows(self)

    def empty(self) -> bool:
        with self.server.client() as client:
            return client.keys("product:*") == [] and client.get("session:bob") == b"kept"

    def refused(self) -> bool:
        with suppress(redis.ConnectionError), redis.Redis.from_url(self.server.url, retry=None) as client:
            client.ping()
            return False
        return self.cut()

    def cut(self) -> bool:
        """Whether the application's session was ended; asking opens it anew."""
        try:
            self.pooled.connection.send_command("PING")
            self.pooled.connection.read_response()
        except (redis.ConnectionError, OSError):
            self.was_cut = True
        return self.was_cut

    def state(self) -> Any:
        with self.server.client() as client:
            keys = sorted(client.keys("*"))
            with client.pipeline() as pipe:  # all at one moment, however busy the machine
                pipe.time()
                for key in keys:
                    pipe.dump(key).pttl(key)
                (seconds, microseconds), *found = pipe.execute()
            now = seconds * 1000 + microseconds // 1000
            left = dict(zip(keys, found[1::2], strict=True))
            return {
                "values": dict(zip(keys, found[::2], strict=True)),
                # A time to live is the same if the moment of expiry is; a tenth of a second is the command's own time.
                "expires": {key: round((now + value) / 1000) if value >= 0 else value for key, value in left.items()},
                "users": client.acl_list(),
                "settings": {k: v for k, v in client.config_get("*").items() if not k.startswith("oom-score")},
                "murphy": [c for c in client.client_list() if c["user"].startswith("murphy")],
            }


def postgres_case(
    name: str,
    fault: FaultSpec,
    shows: Callable[[Any], bool],
    sort: type[PostgresSubject] = PostgresSubject,
    **fields: Any,
) -> Case:
    @contextmanager
    def opened(bench: Bench) -> Iterator[PostgresSubject]:
        subject = sort(bench.postgres(), shows)
        try:
            yield subject
        finally:
            subject.pooled.close()

    return Case(name, fault, opened, **fields)


def redis_case(name: str, fault: FaultSpec, shows: Callable[[RedisSubject], bool], **fields: Any) -> Case:
    @contextmanager
    def opened(bench: Bench) -> Iterator[RedisSubject]:
        subject = RedisSubject(bench.redis(), shows)
        try:
            yield subject
        finally:
            subject.pooled.close()

    return Case(name, fault, opened, **fields)


CASES = (
    redis_case("data.cache_flush", CacheFlush(pattern="product:*"), RedisSubject.empty, owed_while_dead=True),
    postgres_case("data.lock", Lock(table="goods"), PostgresSubject.locked),
    postgres_case("data.lock-rows", Lock(table="goods", rows=5), RowsSubject.some, RowsSubject),
    postgres_case(
        "data.connection_failure-postgresql", ConnectionFailure(), PostgresSubject.refused, owed_while_dead=True
    ),
    postgres_case(
        "data.connection_failure-postgresql-terminate",
        ConnectionFailure(how="terminate"),
        PostgresSubject.cut,
        stays=False,
    ),
    redis_case("data.connection_failure-redis", ConnectionFailure(), RedisSubject.refused),
    redis_case(
        "data.connection_failure-redis-terminate", ConnectionFailure(how="terminate"), RedisSubject.cut, stays=False
    ),
)
