"""Whose transactions are ended, and whose never."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from executor.faults.behaviour import Context
from executor.faults.registry import behaviour
from executor.model.faults.data import Rollback
from tests.executor.faults.cases import Bench
from tests.executor.faults.cases.postgres import Database

HOW = behaviour("data.rollback")
TRIES = 12
WRITE = "CREATE TEMP TABLE written ON COMMIT DROP AS SELECT 1 AS n"
NAP = "SELECT n, pg_sleep(0.1) FROM generate_series(1, 1) n"


@pytest.fixture
def database(bench: Bench) -> Iterator[Database]:
    subject = Database(bench.postgres(), lambda _: False, lambda _: "")
    yield subject
    subject.close()


def test_only_the_application_that_has_written(database: Database, tmp_path: Path) -> None:
    url = database.server.url
    context = Context(database.system, "murphy-rollback-1", str(tmp_path))
    record = HOW.prepare(Rollback(), database.resolved(), context)
    HOW.inject(record, 60)
    try:
        with ExitStack() as stack:
            reader = stack.enter_context(psycopg.connect(url()))
            administrator = stack.enter_context(psycopg.connect(url("postgres")))
            murphy = stack.enter_context(psycopg.connect(url(), application_name="murphy-other"))
            reader.execute("SELECT count(*) FROM goods")
            for writes in (administrator, murphy):
                writes.execute(WRITE)
            with psycopg.connect(url()) as application, pytest.raises(psycopg.OperationalError, match="terminating"):
                application.execute("INSERT INTO goods VALUES (100, 'never')")
                for _ in range(20):
                    application.execute(NAP)
            for spared in (reader, administrator, murphy):
                spared.execute(NAP)
    finally:
        HOW.revert(record)
    assert database.normal()


def test_a_share_of_the_transactions(database: Database, tmp_path: Path) -> None:
    """The dice are the injection's own, so this share is always the same."""
    context = Context(database.system, "murphy-rollback-2", str(tmp_path))
    record = HOW.prepare(Rollback(probability=0.5), database.resolved(), context)
    HOW.inject(record, 60)
    try:
        struck = sum(database.rolled_back() for _ in range(TRIES))
    finally:
        HOW.revert(record)
    assert 1 <= struck <= 11  # 99.95 % of fair throws
