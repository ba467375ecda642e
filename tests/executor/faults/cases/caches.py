"""Faults on a cache: a real Redis, with a real PostgreSQL behind it where what stands behind is what suffers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import redis

from executor.model.faults.data import CachePause, CacheStampede
from tests.executor.faults.cases import Bench, Case
from tests.executor.faults.cases.data import RedisSubject
from tests.executor.faults.servers import Postgres, Redis

HOT = 250
SOON_S = 0.2


class Shop:
    """The application: asks the cache, and the database for what it does not find there."""

    def __init__(self, cache: Redis, database: Postgres) -> None:
        self.cache = cache.client()
        self.database = psycopg.connect(database.url(), autocommit=True, application_name="application")

    def look(self, number: int, *, keep: bool = False) -> None:
        if self.cache.get(f"product:{number}") is None:
            self.database.execute("SELECT name, nextval('asked') FROM goods WHERE id = %s", (number % 20 + 1,))
            if keep:
                self.cache.set(f"product:{number}", f"product {number}")

    def close(self) -> None:
        self.cache.close()
        self.database.close()


def count_queries(database: Postgres) -> None:
    """Have the database count what it is asked: each query of the shop's draws a number there."""
    with psycopg.connect(database.url(), autocommit=True) as session:
        session.execute("CREATE SEQUENCE IF NOT EXISTS asked")


def asked(database: Postgres) -> int:
    """How many queries reached the database so far."""
    with psycopg.connect(database.url(), autocommit=True) as session:
        found = session.execute("SELECT last_value - CASE WHEN is_called THEN 0 ELSE 1 END FROM asked").fetchone()
    assert found is not None
    return int(found[0])


class StampedeSubject(RedisSubject):
    """The 250 products used last are hot; 50 more, a cart and a session are not."""

    def __init__(self, server: Redis, database: Postgres) -> None:
        super().__init__(server, StampedeSubject.expired)
        self.database = database
        count_queries(database)
        self.shop = Shop(server, database)
        self.before = self.queries()

    def queries(self) -> int:
        """How many queries reach the database while the shop looks at every fifth product once."""
        before = asked(self.database)
        for number in range(0, 300, 5):
            self.shop.look(number)
        return asked(self.database) - before

    def expired(self) -> bool:
        with self.server.client() as client:
            return bool(client.dbsize() == 303 - HOT)

    def size(self) -> str:
        with self.server.client() as client:
            gone = 303 - client.dbsize()
        assert gone == HOT
        return f"{HOT} keys asked, {gone} gone; {self.queries()} of 60 looks reach the database, {self.before} before"

    def unharmed(self) -> bool:
        """Whether the keys that were not meant are all there, and the database answers another client."""
        with self.server.client() as client:
            others = client.mget("session:bob", "product:cold") == [b"kept", b"x"] and client.hlen("cart:alice") == 1
        return others and self.database.answers()


class PauseSubject(RedisSubject):
    def __init__(self, server: Redis, fault: CachePause) -> None:
        super().__init__(server, PauseSubject.held)
        self.fault = fault
        self.bystander = Redis(server.root)

    def reads(self) -> bool:
        return self._answers("GET", "session:bob")

    def writes(self) -> bool:
        return self._answers("SET", "session:bob", "kept")

    def _answers(self, *command: str) -> bool:
        try:
            with redis.Redis.from_url(self.server.url, socket_timeout=SOON_S, retry=None) as client:
                client.execute_command(*command)
        except redis.TimeoutError:
            return False
        return True

    def held(self) -> bool:
        return not self.writes() and self.reads() == (self.fault.what == "writes")

    def unharmed(self) -> bool:
        """Whether another Redis answers as ever, and readers of this one where only writes are held."""
        return self.bystander.answers() and (self.fault.what == "all" or self.reads())

    def size(self) -> str:
        tries = [(self.writes(), self.reads()) for _ in range(5)]
        held = f"{sum(not wrote for wrote, _ in tries)} of 5 writes, {sum(not read for _, read in tries)} of 5 reads"
        return f"{self.fault.what} asked, held over {SOON_S:g} s: {held}"


def pause_case(name: str, fault: CachePause) -> Case:
    @contextmanager
    def opened(bench: Bench) -> Iterator[PauseSubject]:
        subject = PauseSubject(bench.redis(), fault)
        try:
            yield subject
        finally:
            subject.bystander.end()
            subject.pooled.close()

    return Case(name, fault, opened)


@contextmanager
def _stampede(bench: Bench) -> Iterator[StampedeSubject]:
    subject = StampedeSubject(bench.redis(), bench.postgres())
    try:
        yield subject
    finally:
        subject.shop.close()
        subject.pooled.close()


CASES = (
    Case("data.cache_stampede", CacheStampede(pattern="product:*", keys=HOT), _stampede, owed_while_dead=True),
    pause_case("data.cache_pause", CachePause()),
)
