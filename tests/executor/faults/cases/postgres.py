"""Faults on a real PostgreSQL: an application's database, and another one of another role beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg

from executor.model.faults import FaultSpec
from executor.model.faults.data import Corruption, PoolExhaustion, Rollback
from tests.executor.faults.cases import Bench, Case
from tests.executor.faults.cases.data import PostgresSubject
from tests.executor.faults.servers import Postgres

_OURS = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'murphy-contract%%'"
_SCHEMAS = (
    "SELECT nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg_temp%%' AND nspname NOT LIKE 'pg_toast%%' ORDER BY 1"
)
_CHECKSUM = "SELECT count(*), md5(string_agg(t::text, '/' ORDER BY id)) FROM goods t"
_FALSE = "SELECT count(*) FROM goods WHERE name IS DISTINCT FROM 'good ' || id"
_LOOKS = 5
"""A transaction stays open for so many naps of 20 ms; the fault looks a hundred times a second."""
_SEATS = "SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int"


class Database(PostgresSubject):
    """What the fault strikes is the shop's; the ledger's database, role and standing session are bystanders."""

    def __init__(self, server: Postgres, shows: Callable[[Database], bool], sized: Callable[[Database], str]) -> None:
        super().__init__(server, lambda _: shows(self))
        self.sized = sized
        self.ledger = psycopg.connect(server.url("ledger", "ledger"), autocommit=True)

    def unharmed(self) -> bool:
        """Whether the ledger's session lives and writes its own rows, and an administrator is let in."""
        with self.ledger.transaction():
            self.ledger.execute("UPDATE goods SET name = name")
            rows = self.ledger.execute(
                "SELECT count(*), pg_sleep(0.1) FROM goods WHERE name = 'good ' || id"
            ).fetchone()
        return rows is not None and rows[0] == 20 and self.server.ask("SELECT 1") == [(1,)]

    def size(self) -> str:
        return self.sized(self)

    def normal(self) -> bool:
        return super().normal() and self.false() == 0

    def state(self) -> Any:
        with psycopg.connect(self.server.url(), autocommit=True) as session:
            ours = {"schemas": session.execute(_SCHEMAS).fetchall(), "checksum": session.execute(_CHECKSUM).fetchall()}
        return super().state() | ours

    def false(self) -> int:
        """Rows whose text does not fit their key."""
        with psycopg.connect(self.server.url(), connect_timeout=5) as session:
            found = session.execute(_FALSE).fetchone()
        assert found is not None
        return int(found[0])

    def close(self) -> None:
        self.pooled.close()
        self.ledger.close()

    def full(self) -> bool:
        """Whether a new client of the shop finds no connection left."""
        try:
            psycopg.connect(self.server.url(), connect_timeout=5).close()
        except psycopg.OperationalError as error:
            return "connection slots" in str(error) or "too many clients" in str(error)
        return False

    def held(self) -> str:
        """Sessions of ours, beside those that the server has for clients."""
        ((ours,),), ((seats,),) = self.server.ask(_OURS), self.server.ask(_SEATS)
        others = 2  # the shop's pooled one and the ledger's
        return f"all of {seats - others} free ones asked, {ours} held"

    def damaged(self) -> str:
        """Rows that are false now."""
        return f"5 rows asked, {self.false()} of them false"

    def rolled_back(self) -> bool:
        """Whether a transaction that writes is ended before it can commit."""
        with psycopg.connect(self.server.url(), connect_timeout=5) as session:
            try:
                session.execute("UPDATE goods SET name = 'not yet' WHERE id = 20")
                for _ in range(_LOOKS):
                    session.execute("SELECT pg_sleep(0.02)")
            except psycopg.OperationalError:
                return True
            session.rollback()
        return False

    def rolled_back_of(self) -> str:
        """How many of ten transactions."""
        return f"every second one asked, {sum(self.rolled_back() for _ in range(10))} of 10"


def case(
    name: str,
    fault: FaultSpec,
    shows: Callable[[Database], bool],
    sized: Callable[[Database], str],
    **fields: bool,
) -> Case:
    @contextmanager
    def opened(bench: Bench) -> Iterator[Database]:
        subject = Database(bench.postgres(), shows, sized)
        try:
            yield subject
        finally:
            with suppress(psycopg.Error):
                subject.close()

    return Case(name, fault, opened, **fields)  # type: ignore[arg-type]


CASES = (
    case("data.pool_exhaustion", PoolExhaustion(sessions=10_000), Database.full, Database.held),
    case(
        "data.corruption",
        Corruption(table="goods", rows=5),
        lambda subject: subject.false() == 5,
        Database.damaged,
        owed_while_dead=True,
    ),
    case("data.rollback", Rollback(every=2), Database.rolled_back, Database.rolled_back_of),
)
