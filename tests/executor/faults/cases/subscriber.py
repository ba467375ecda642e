"""Rows that differ on a logical replica of a real PostgreSQL; the publisher and another table are the bystanders."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg

from executor.model.faults.data import Inconsistency
from tests.executor.faults.cases import Bench, Case
from tests.executor.faults.cases.postgres import Database
from tests.executor.faults.servers import Postgres, Subscriber
from tests.executor.kit import until

_ROWS = "SELECT id, name FROM goods ORDER BY id"
_CHECKSUM = "SELECT count(*), md5(string_agg(t::text, '/' ORDER BY id)) FROM goods t"


class Subscribed(Database):
    """A subscriber, and who writes to its publisher."""

    def __init__(self, server: Subscriber) -> None:
        super().__init__(server, lambda _: len(self.differing()) == 5, lambda _: self.measured())
        self.publisher = server.publisher

    def follows(self) -> bool:
        """Whether what is written to another table of the publisher arrives."""
        with psycopg.connect(self.publisher.url(), autocommit=True) as session:
            found = session.execute("UPDATE beats SET n = n + 1 RETURNING n").fetchall()
        until(lambda: self.read(self.server, "SELECT n FROM beats") == found, what="the subscriber does not follow")
        return True

    def read(self, server: Postgres, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(server.url(), autocommit=True, connect_timeout=5) as session:
            return session.execute(query).fetchall()  # type: ignore[call-overload, no-any-return]

    def differing(self) -> list[Any]:
        """Keys of the rows that publisher and subscriber do not agree on."""
        ours, theirs = set(self.read(self.server, _ROWS)), set(self.read(self.publisher, _ROWS))
        return sorted({key for key, _ in ours ^ theirs})

    def measured(self) -> str:
        return f"5 rows asked, {len(self.differing())} of 20 differ from the publisher's"

    def normal(self) -> bool:
        return super().normal() and self.follows() and self.differing() == []

    def unharmed(self) -> bool:
        well = self.read(self.publisher, "SELECT count(*) FROM goods WHERE name = 'good ' || id") == [(20,)]
        return super().unharmed() and well and self.follows()

    def state(self) -> Any:
        return super().state() | {
            "checksums": [self.read(server, _CHECKSUM) for server in (self.server, self.publisher)],
            "subscriptions": self.read(self.server, "SELECT subname, subenabled FROM pg_subscription"),
        }


@contextmanager
def opened(bench: Bench) -> Iterator[Subscribed]:
    made = Subscribed(bench.fixture("shared_subscriber"))
    try:
        yield made
    finally:
        with suppress(psycopg.Error):
            made.close()
        if made.server.process.poll() is not None:  # others use it after us
            made.server.start()


CASES = (
    Case("data.inconsistency-divergence", Inconsistency(divergence=5, table="goods"), opened, owed_while_dead=True),
)
