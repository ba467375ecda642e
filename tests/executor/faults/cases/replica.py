"""Faults on a streaming replica of a real PostgreSQL; its primary is the bystander."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from executor.drivers.resolve import resolve
from executor.drivers.targets import ProcessTarget
from executor.model.faults.data import Inconsistency
from executor.model.plan import InstanceTarget
from tests.executor.faults.cases import Bench, Case
from tests.executor.faults.cases.data import service
from tests.executor.faults.servers import Replica
from tests.executor.kit import until

_BEHIND = "SELECT pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())::bigint"
_RECEIVED = "SELECT pg_last_wal_receive_lsn() >= %s::pg_lsn"
_LOOKS = 10
"""How often, in naps of 20 ms, a row is looked for that the replica has received."""


class ReadReplica:
    """The replica, and who writes to its primary."""

    def __init__(self, replica: Replica) -> None:
        self.replica = replica
        self.system = service(replica, "postgres", "postgresql", disposable=True)
        os.environ["TEST_POSTGRES"] = replica.url()
        self.writer = psycopg.connect(replica.primary.url(), autocommit=True)
        self.writer.execute("CREATE TABLE IF NOT EXISTS beats AS SELECT 0 AS n")
        until(lambda: self.ask("SELECT to_regclass('beats')") != [(None,)], what="the replica has not got the table")

    def resolved(self) -> ProcessTarget:
        (target,) = resolve(InstanceTarget(service="postgres"), self.system)
        assert isinstance(target, ProcessTarget)
        return target

    def write(self) -> int | None:
        """One more, and the replica has received it; ``None`` if it is not there."""
        found = self.writer.execute("UPDATE beats SET n = n + 1 RETURNING n").fetchone()
        at = self.writer.execute("SELECT pg_current_wal_flush_lsn()").fetchone()
        assert found is not None
        assert at is not None
        while self.replica.process.poll() is None:
            if self.ask(_RECEIVED, at[0]) == [(True,)]:
                return int(found[0])
            time.sleep(0.01)
        return None

    def ask(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.replica.url(), autocommit=True, connect_timeout=5) as session:
            return session.execute(query, values).fetchall()  # type: ignore[call-overload, no-any-return]

    def applies(self) -> bool:
        """Whether what was received can be read soon."""
        written = self.write()
        for _ in range(_LOOKS):
            if self.ask("SELECT n FROM beats") == [(written,)]:
                return True
            time.sleep(0.02)
        return False

    def normal(self) -> bool:
        return self.applies()

    def faulted(self) -> bool:
        return not self.applies()

    def unharmed(self) -> bool:
        """Whether the primary is written to, and the replica answers whoever only reads."""
        written = self.writer.execute("UPDATE goods SET name = name RETURNING id").fetchall()
        return len(written) == 20 and self.ask("SELECT count(*) FROM goods") == [(20,)]

    def size(self) -> str:
        last = [self.write() for _ in range(5)][-1]
        ((seen,),), ((behind,),) = self.ask("SELECT n FROM beats"), self.ask(_BEHIND)
        return f"nothing to be applied, {(last or 0) - seen} writes ({behind:,} bytes) received and not applied"

    def state(self) -> Any:
        return {
            "paused": self.replica.ask("SELECT pg_is_wal_replay_paused()"),
            "sessions": self.replica.ask("SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'murphy%%'"),
        }

    def die(self) -> None:
        self.replica.end()

    def close(self) -> None:
        self.writer.close()
        if self.replica.process.poll() is not None:  # others use it after us
            self.replica.start()


@contextmanager
def opened(bench: Bench) -> Iterator[ReadReplica]:
    made = ReadReplica(bench.fixture("shared_replica"))
    try:
        yield made
    finally:
        made.close()


CASES = (Case("data.inconsistency", Inconsistency(), opened),)
