"""What a replica is told to do and what it tells, and who is none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from executor.faults.behaviour import Context, Telling
from executor.faults.registry import behaviour
from executor.model.faults.data import Inconsistency
from executor.model.system import Service
from tests.executor.faults.cases import Bench
from tests.executor.faults.cases.postgres import Database
from tests.executor.faults.cases.replica import ReadReplica, opened
from tests.executor.kit import until

HOW = behaviour("data.inconsistency")
FAULT = Inconsistency()


@pytest.fixture
def replica(bench: Bench) -> Iterator[ReadReplica]:
    with opened(bench) as made:
        until(made.normal)
        yield made


def test_how_far_behind_it_is_told(replica: ReadReplica, tmp_path: Path) -> None:
    record = HOW.prepare(FAULT, replica.resolved(), Context(replica.system, "murphy-lag", str(tmp_path)))
    assert isinstance(HOW, Telling)
    HOW.inject(record, 60)
    try:
        replica.write()
        told = HOW.tells(record)
    finally:
        HOW.revert(record)
    assert "behind:" in told
    assert "bytes are received and not applied" in told
    until(replica.normal)
    assert HOW.tells(record) == "the replica has received nothing that it would have applied"


def test_a_replay_that_somebody_has_paused_is_left_alone(replica: ReadReplica) -> None:
    with psycopg.connect(replica.replica.url("postgres"), autocommit=True) as administrator:
        administrator.execute("SELECT pg_wal_replay_pause()")
        try:
            assert "is paused by somebody already" in (HOW.unsupported(FAULT, replica.resolved()) or "")
        finally:
            administrator.execute("SELECT pg_wal_replay_resume()")


def test_a_role_that_may_not_and_a_server_that_is_no_replica(
    replica: ReadReplica, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = replica.resolved()
    monkeypatch.setenv("TEST_ADMIN", replica.replica.url("ledger"))
    other = Service.model_validate({**dict(target.service), "dsn": "env:TEST_ADMIN"})
    assert "does not let this role pause the replay" in (HOW.unsupported(FAULT, replace(target, service=other)) or "")
    primary = Database(bench.postgres(), lambda _: False, lambda _: "")
    assert "is no replica" in (HOW.unsupported(FAULT, primary.resolved()) or "")
    primary.close()
