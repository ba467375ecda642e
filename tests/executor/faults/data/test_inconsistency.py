"""What a replica is told to do and what it tells, and who is none."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from pydantic import ValidationError

from executor.faults.behaviour import Context, Telling
from executor.faults.registry import behaviour
from executor.model.faults.data import Inconsistency
from executor.model.system import Service
from tests.executor.faults.cases import Bench
from tests.executor.faults.cases.postgres import Database
from tests.executor.faults.cases.replica import ReadReplica, opened
from tests.executor.faults.cases.subscriber import Subscribed
from tests.executor.faults.cases.subscriber import opened as subscribed
from tests.executor.kit import until

HOW = behaviour("data.inconsistency")
FAULT = Inconsistency()
LAG = Inconsistency(lag_s=30)
DIFFERS = Inconsistency(divergence=5, table="goods")
DELAY = "recovery_min_apply_delay"


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
    monkeypatch.setenv("TEST_LEDGER", replica.replica.url("ledger"))
    other = {**dict(target.service), "dsn": "env:TEST_LEDGER", "admin_dsn": None}
    refused = replace(target, service=Service.model_validate(other))
    assert "does not let this role pause the replay" in (HOW.unsupported(FAULT, refused) or "")
    assert "only a superuser can have a replica stay behind" in (HOW.unsupported(LAG, refused) or "")
    primary = Database(bench.postgres(), lambda _: False, lambda _: "")
    assert "is no replica" in (HOW.unsupported(FAULT, primary.resolved()) or "")
    assert "is no replica" in (HOW.unsupported(LAG, primary.resolved()) or "")
    primary.close()


@pytest.fixture
def set_to(replica: ReadReplica) -> Iterator[Callable[[str, str], None]]:
    """What an administrator of the replica has set, and takes back in the end."""
    names = []

    def put(name: str, value: str) -> None:
        names.append(name)
        with psycopg.connect(replica.replica.url("postgres", "postgres"), autocommit=True) as administrator:
            administrator.execute(f"ALTER SYSTEM SET {name} = '{value}'")
            administrator.execute("SELECT pg_reload_conf()")
        until(lambda: replica.replica.ask("SELECT current_setting(%s)", name) == [(value,)])

    yield put
    with psycopg.connect(replica.replica.url("postgres", "postgres"), autocommit=True) as administrator:
        for name in names:
            administrator.execute(f"ALTER SYSTEM RESET {name}")
        administrator.execute("SELECT pg_reload_conf()")


def test_what_an_administrator_had_set_is_put_back_as_it_was_written(
    replica: ReadReplica, set_to: Callable[[str, str], None], tmp_path: Path
) -> None:
    set_to("work_mem", "5MB")
    set_to(DELAY, "20ms")
    before = replica.state()
    record = HOW.prepare(LAG, replica.resolved(), Context(replica.system, "murphy-lag-2", str(tmp_path)))
    assert record["was"] == "20ms"
    HOW.inject(record, 60)
    until(lambda: HOW.active(record))
    assert replica.replica.ask(f"SHOW {DELAY}") == [("30s",)]
    HOW.revert(record)
    assert HOW.active(record) is False
    assert replica.replica.ask(f"SHOW {DELAY}") == [("20ms",)]
    until(lambda: replica.state() == before)


def test_what_somebody_sets_meanwhile_stays(
    replica: ReadReplica, set_to: Callable[[str, str], None], tmp_path: Path
) -> None:
    record = HOW.prepare(LAG, replica.resolved(), Context(replica.system, "murphy-lag-3", str(tmp_path)))
    HOW.inject(record, 60)
    set_to(DELAY, "10ms")
    HOW.revert(record)
    assert HOW.active(record) is False
    assert replica.replica.ask(f"SHOW {DELAY}") == [("10ms",)]


@pytest.mark.parametrize("read", [False, True], ids=["while it was made", "while it was undone"])
def test_whoever_dies_between_writing_and_reading(replica: ReadReplica, tmp_path: Path, *, read: bool) -> None:
    """Our delay is written and not in force yet; or it is in force, and what is written is as before already."""
    before = replica.state()
    record = HOW.prepare(LAG, replica.resolved(), Context(replica.system, "murphy-lag-4", str(tmp_path)))
    with psycopg.connect(replica.replica.url("postgres", "postgres"), autocommit=True) as administrator:
        administrator.execute(f"ALTER SYSTEM SET {DELAY} = '{record['put']}'")
        if read:
            administrator.execute("SELECT pg_reload_conf()")
            until(lambda: HOW.active(record))
            administrator.execute(f"ALTER SYSTEM RESET {DELAY}")
    assert HOW.active(record) is read
    HOW.revert(record)
    assert HOW.active(record) is False
    until(lambda: replica.state() == before)


def test_one_that_is_so_far_behind_already_and_one_whose_settings_wait_to_be_read(
    replica: ReadReplica, set_to: Callable[[str, str], None]
) -> None:
    set_to(DELAY, "1min")
    assert "is kept 60 s behind already; ask for more" in (HOW.unsupported(LAG, replica.resolved()) or "")
    set_to(DELAY, "0")
    assert HOW.unsupported(LAG, replica.resolved()) is None
    with psycopg.connect(replica.replica.url("postgres", "postgres"), autocommit=True) as administrator:
        administrator.execute("ALTER SYSTEM SET work_mem = '6MB'")
        assert "changed and not read since" in (HOW.unsupported(LAG, replica.resolved()) or "")
        administrator.execute("ALTER SYSTEM RESET work_mem")


@pytest.fixture
def subscriber(bench: Bench) -> Iterator[Subscribed]:
    with subscribed(bench) as made:
        until(made.normal)
        yield made


def test_a_row_that_the_primary_writes_meanwhile_is_what_it_sent(subscriber: Subscribed, tmp_path: Path) -> None:
    record = HOW.prepare(DIFFERS, subscriber.resolved(), Context(subscriber.system, "murphy-differs", str(tmp_path)))
    assert HOW.inject(record, 60) == {"struck": 5}
    assert isinstance(HOW, Telling)
    assert HOW.tells(record) == "5 rows of the replica differ from the primary's"
    first = subscriber.differing()[0]
    with psycopg.connect(subscriber.publisher.url(), autocommit=True) as writer:
        writer.execute("UPDATE goods SET name = 'renewed' WHERE id = %s", (first,))
        until(lambda: len(subscriber.differing()) == 4)
        HOW.revert(record)
        assert subscriber.differing() == []
        assert (first, "renewed") in subscriber.read(subscriber.server, "SELECT id, name FROM goods")
        writer.execute("UPDATE goods SET name = 'good ' || id WHERE id = %s", (first,))
    until(subscriber.normal)


def test_a_table_that_no_primary_sends_or_that_others_get(subscriber: Subscribed, bench: Bench) -> None:
    alone = Database(bench.postgres(), lambda _: False, lambda _: "")
    assert "does not get goods from a primary" in (HOW.unsupported(DIFFERS, alone.resolved()) or "")
    alone.close()
    os.environ["TEST_POSTGRES"] = subscriber.server.url()
    with psycopg.connect(subscriber.server.url("postgres"), autocommit=True) as administrator:
        administrator.execute("CREATE PUBLICATION onward FOR TABLE goods")
        try:
            assert "publishes goods itself" in (HOW.unsupported(DIFFERS, subscriber.resolved()) or "")
        finally:
            administrator.execute("DROP PUBLICATION onward")


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"lag_s": 1, "divergence": 1, "table": "goods"}, "take two actions for both"),
        ({"divergence": 1}, "belong together"),
        ({"table": "goods"}, "belong together"),
    ],
)
def test_one_way_at_a_time(given: dict[str, object], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        Inconsistency.model_validate(given)


def test_only_what_has_degrees_is_raised_in_steps() -> None:
    assert FAULT.at(0.5) is None
    assert LAG.at(0.5) == Inconsistency(lag_s=15)
    assert DIFFERS.at(0.1) == Inconsistency(divergence=1, table="goods")
