"""Faults on a streaming replica of a real PostgreSQL; its primary, and another replica of it, are the bystanders."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
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

LAG_S = 2.0
_BEHIND = "SELECT pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())::bigint"
_RECEIVED = "SELECT pg_last_wal_receive_lsn() >= %s::pg_lsn"
_LOOKS = 10
"""How often, in naps of 20 ms, a row is looked for that the replica has received."""


class ReadReplica:
    """The replica, and who writes to its primary."""

    def __init__(self, replica: Replica, other: Replica, sized: Callable[[ReadReplica], str]) -> None:
        self.replica, self.other, self.sized = replica, other, sized
        self.system = service(replica, "postgres", "postgresql", disposable=True, admin_dsn="env:TEST_ADMIN")
        os.environ["TEST_POSTGRES"], os.environ["TEST_ADMIN"] = replica.url(), replica.url("postgres")
        self.writer = psycopg.connect(replica.primary.url(), autocommit=True)
        self.writer.execute("CREATE TABLE IF NOT EXISTS beats AS SELECT 0 AS n")
        until(lambda: self.ask("SELECT to_regclass('beats')") != [(None,)], what="the replica has not got the table")

    def resolved(self) -> ProcessTarget:
        (target,) = resolve(InstanceTarget(service="postgres"), self.system)
        assert isinstance(target, ProcessTarget)
        return target

    def write(self, replica: Replica | None = None) -> int | None:
        """One more, and the replica has received it; ``None`` if it is not there."""
        replica = replica or self.replica
        found = self.writer.execute("UPDATE beats SET n = n + 1 RETURNING n").fetchone()
        at = self.writer.execute("SELECT pg_current_wal_flush_lsn()").fetchone()
        assert found is not None
        assert at is not None
        while replica.process.poll() is None:
            if self.ask(_RECEIVED, at[0], of=replica) == [(True,)]:
                return int(found[0])
            time.sleep(0.01)
        return None

    def ask(self, query: str, *values: Any, of: Replica | None = None) -> list[tuple[Any, ...]]:
        with psycopg.connect((of or self.replica).url(), autocommit=True, connect_timeout=5) as session:
            return session.execute(query, values).fetchall()  # type: ignore[call-overload, no-any-return]

    def applies(self, replica: Replica | None = None) -> bool:
        """Whether what was received can be read soon."""
        written = self.write(replica)
        for _ in range(_LOOKS):
            if self.ask("SELECT n FROM beats", of=replica) == [(written,)]:
                return True
            time.sleep(0.02)
        return False

    def normal(self) -> bool:
        return self.applies()

    def faulted(self) -> bool:
        return not self.applies()

    def unharmed(self) -> bool:
        """Whether the primary is written to, the replica answers whoever only reads, and the other one keeps up."""
        written = self.writer.execute("UPDATE goods SET name = name RETURNING id").fetchall()
        answers = self.ask("SELECT count(*) FROM goods") == [(20,)]
        return len(written) == 20 and answers and self.applies(self.other)

    def size(self) -> str:
        return self.sized(self)

    def waiting(self) -> str:
        last = [self.write() for _ in range(5)][-1]
        ((seen,),), ((behind,),) = self.ask("SELECT n FROM beats"), self.ask(_BEHIND)
        return f"nothing to be applied, {(last or 0) - seen} writes ({behind:,} bytes) received and not applied"

    def late(self) -> str:
        """How long after each commit it is seen on the replica."""
        committed: dict[int, float] = {}
        for _ in range(5):
            found = self.writer.execute("UPDATE beats SET n = n + 1 RETURNING n").fetchone()
            assert found is not None
            committed[found[0]] = time.monotonic()
        after: list[float] = []
        with psycopg.connect(self.replica.url(), autocommit=True) as session:
            while committed:
                ((seen,),) = session.execute("SELECT n FROM beats").fetchall()
                after += [time.monotonic() - committed.pop(n) for n in sorted(committed) if n <= seen]
                time.sleep(0.002)
        return f"{LAG_S:g} s asked, {len(after)} commits seen after {min(after):.2f} to {max(after):.2f} s"

    def state(self) -> Any:
        return {
            "paused": self.replica.ask("SELECT pg_is_wal_replay_paused()"),
            "sessions": self.replica.ask("SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'murphy%%'"),
            "settings": self.replica.ask("SELECT name, setting, sourcefile, sourceline FROM pg_settings ORDER BY 1"),
            "written": (self.replica.data / "postgresql.auto.conf").read_bytes(),
        }

    def die(self) -> None:
        self.replica.end()

    def revive(self) -> None:
        self.replica.start()

    def close(self) -> None:
        self.writer.close()
        if self.replica.process.poll() is not None:  # others use it after us
            self.replica.start()


@contextmanager
def opened(bench: Bench, sized: Callable[[ReadReplica], str] = ReadReplica.waiting) -> Iterator[ReadReplica]:
    made = ReadReplica(bench.fixture("shared_replica"), bench.fixture("other_replica"), sized)
    try:
        yield made
    finally:
        made.close()


CASES = (
    Case("data.inconsistency", Inconsistency(), opened),
    Case(
        "data.inconsistency-lag",
        Inconsistency(lag_s=LAG_S),
        lambda bench: opened(bench, ReadReplica.late),
        owed_while_dead=True,
    ),
)
