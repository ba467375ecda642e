"""Damaged rows come back to the byte, whoever dies in the middle, and never over what the application wrote."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from executor.drivers.targets import ProcessTarget
from executor.errors import UnavailableError
from executor.faults.behaviour import Context
from executor.faults.data import named
from executor.faults.registry import behaviour
from executor.model.faults.data import Corruption
from executor.model.system import Backup, Service
from tests.executor.faults.cases import Bench
from tests.executor.faults.cases.postgres import Database
from tests.executor.kit import until

HOW = behaviour("data.corruption")
ROOT = Path(__file__).parents[4]
INJECT = """
import json, sys
from executor.faults.data import named
from executor.faults.registry import behaviour
behaviour("data.corruption").inject(json.load(sys.stdin), 60)
"""
KINDS = {
    "text": "'grüße ' || n",
    "varchar(20)": "'varchar ' || n",
    "bpchar": "'fixed ' || n",
    "bytea": "decode('00ff0a', 'hex')",
    "int2": "n",
    "int4": "n * 1000",
    "int8": "n * 10000000000",
    "numeric": "n / 7.00",
    "float8": "n / 7.0",
    "bool": "n % 2 = 0",
}
WAITS = "SELECT pid FROM pg_stat_activity WHERE application_name = %s AND wait_event_type = 'Lock' AND query LIKE %s"


@pytest.fixture
def database(bench: Bench) -> Iterator[Database]:
    subject = Database(bench.postgres(), lambda _: False, lambda _: "")
    yield subject
    subject.close()


@pytest.fixture
def shop(database: Database) -> Iterator[psycopg.Connection]:
    """The application, with a table of its own for what a test does to it."""
    with psycopg.connect(database.server.url(), autocommit=True) as session:
        session.execute("CREATE TABLE orders (a int, b text, plain text, PRIMARY KEY (b, a))")
        session.execute("INSERT INTO orders SELECT n, 'b' || n % 3, 'plain ' || n FROM generate_series(1, 50) n")
        yield session
        session.execute("DROP TABLE IF EXISTS orders, renamed")


def prepared(database: Database, fault: Corruption, path: Path) -> dict[str, Any]:
    target = database.resolved()
    assert HOW.unsupported(fault, target) is None
    return HOW.prepare(fault, target, Context(database.system, f"murphy-corruption-{os.getpid()}", str(path)))


def checksum(session: psycopg.Connection, table: str) -> Any:
    query = f"SELECT count(*), md5(string_agg(t::text, '/' ORDER BY t::text)) FROM {table} t"
    return session.execute(query).fetchall()  # type: ignore[call-overload]


def schemas(session: psycopg.Connection) -> list[Any]:
    return session.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'murphy%'").fetchall()


@pytest.mark.parametrize("how", ["null", "flip", "truncate", "duplicate"])
@pytest.mark.parametrize("table", ["orders", "goods"])
def test_each_damage_is_undone_to_the_byte(
    database: Database, shop: psycopg.Connection, tmp_path: Path, how: Any, table: str
) -> None:
    fault = Corruption(table=table, rows=7, how=how)
    if (table, how) == ("orders", "duplicate"):
        why = HOW.unsupported(fault, database.resolved())
        assert why is not None
        assert "needs a whole number as its key" in why
        return
    before = checksum(shop, table)
    record = prepared(database, fault, tmp_path)
    record |= HOW.inject(record, 60)
    assert record["struck"] == 7
    assert HOW.active(record) is True
    damaged = checksum(shop, table)
    assert damaged != before
    assert damaged[0][0] == before[0][0] + (7 if how == "duplicate" else 0)
    HOW.revert(record)
    assert HOW.active(record) is False
    assert checksum(shop, table) == before
    assert schemas(shop) == []


def test_every_type_that_can_be_struck(database: Database, shop: psycopg.Connection, tmp_path: Path) -> None:
    columns = ", ".join(f"c{place} {kind}" for place, kind in enumerate(KINDS))
    shop.execute(f"DROP TABLE orders; CREATE TABLE orders (id int PRIMARY KEY, {columns})")  # type: ignore[call-overload]
    values = ", ".join(f"({value})::{kind}" for kind, value in KINDS.items())
    shop.execute(f"INSERT INTO orders SELECT n, {values} FROM generate_series(1, 9) n")  # type: ignore[call-overload]
    before = checksum(shop, "orders")
    for place, kind in enumerate(KINDS):
        for how in ("flip", "truncate") if kind in ("text", "varchar(20)", "bytea") else ("flip",):
            record = prepared(database, Corruption(table="orders", how=how, column=f"c{place}"), tmp_path)  # type: ignore[arg-type]
            assert HOW.inject(record, 60) == {"struck": 9}, kind
            assert checksum(shop, "orders") != before
            HOW.revert(record)
            assert checksum(shop, "orders") == before, kind


def test_what_the_application_wrote_meanwhile_is_kept_and_told(
    database: Database, shop: psycopg.Connection, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    record = prepared(database, Corruption(table="orders", rows=50), tmp_path)
    HOW.inject(record, 60)
    shop.execute("UPDATE orders SET plain = 'written' WHERE a = 1; DELETE FROM orders WHERE a = 2")
    shop.execute("UPDATE orders SET plain = plain || '!' WHERE a = 3")
    shop.execute("ALTER TABLE orders RENAME COLUMN plain TO renamed; ALTER TABLE orders ADD COLUMN more int")
    shop.execute("ALTER TABLE orders RENAME TO renamed")
    shop.execute("UPDATE renamed SET more = 4 WHERE a = 4")
    with caplog.at_level(logging.WARNING):
        HOW.revert(record)
    assert "3 damaged rows were written or removed by the application meanwhile" in caplog.text
    rows = dict(shop.execute("SELECT a, renamed FROM renamed").fetchall())
    expected = {n: f"plain {n}" for n in range(1, 51) if n != 2} | {1: "written", 3: "qlain 3!"}
    assert rows == expected
    assert shop.execute("SELECT more FROM renamed WHERE a = 4").fetchone() == (4,)
    assert HOW.active(record) is False
    assert schemas(shop) == []


def test_a_copied_row_that_the_application_changed_is_kept_and_told(
    database: Database, shop: psycopg.Connection, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    record = prepared(database, Corruption(table="goods", rows=5, how="duplicate"), tmp_path)
    HOW.inject(record, 60)
    ((key,),) = shop.execute(
        "UPDATE goods SET name = 'sold' WHERE id = (SELECT max(id) FROM goods WHERE id < 0) RETURNING id"
    )
    try:
        with caplog.at_level(logging.WARNING):
            HOW.revert(record)
        assert "1 damaged rows were written" in caplog.text
        assert shop.execute("SELECT id, name FROM goods WHERE id < 0").fetchall() == [(key, "sold")]
    finally:
        shop.execute("DELETE FROM goods WHERE id < 0")


def test_a_table_that_was_dropped_meanwhile_leaves_nothing(
    database: Database, shop: psycopg.Connection, tmp_path: Path
) -> None:
    record = prepared(database, Corruption(table="orders"), tmp_path)
    HOW.inject(record, 60)
    shop.execute("DROP TABLE orders")
    assert HOW.active(record) is False
    HOW.revert(record)
    assert schemas(shop) == []


def test_killed_between_the_before_image_and_the_update(
    database: Database, shop: psycopg.Connection, tmp_path: Path
) -> None:
    """One transaction: the rows are kept already, their damage waits for a lock, and the executor is killed."""
    record = prepared(database, Corruption(table="orders"), tmp_path)
    before = checksum(shop, "orders")
    with psycopg.connect(database.server.url()) as other:
        other.execute("LOCK TABLE orders IN SHARE ROW EXCLUSIVE MODE")
        executor = subprocess.Popen([sys.executable, "-c", INJECT], stdin=subprocess.PIPE, cwd=ROOT)
        assert executor.stdin is not None
        executor.stdin.write(json.dumps(record).encode())
        executor.stdin.close()
        ((backend,),) = until(lambda: database.server.ask(WAITS, record["name"], "UPDATE%"))
        executor.kill()
        executor.wait()
    until(lambda: not database.server.ask("SELECT 1 FROM pg_stat_activity WHERE pid = %s", backend))
    assert checksum(shop, "orders") == before, "damaged after all"
    assert schemas(shop) == []
    assert HOW.active(record) is False
    HOW.revert(record)
    assert checksum(shop, "orders") == before


def test_an_injection_that_still_waits_is_ended_by_the_revert(
    database: Database, shop: psycopg.Connection, tmp_path: Path
) -> None:
    """Whoever undoes is told that nothing is there, and nothing comes after that."""
    record = prepared(database, Corruption(table="orders"), tmp_path)
    before = checksum(shop, "orders")
    with psycopg.connect(database.server.url()) as other:
        other.execute("LOCK TABLE orders IN SHARE ROW EXCLUSIVE MODE")
        executor = subprocess.Popen(
            [sys.executable, "-c", INJECT], stdin=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
        )
        assert executor.stdin is not None
        executor.stdin.write(json.dumps(record).encode())
        executor.stdin.close()
        until(lambda: database.server.ask(WAITS, record["name"], "UPDATE%"))
        HOW.revert(record)
        assert executor.wait() != 0
        assert executor.stderr is not None
        assert b"terminating connection" in executor.stderr.read()
        executor.stderr.close()
    assert checksum(shop, "orders") == before
    assert schemas(shop) == []


def test_what_is_not_struck_is_said(database: Database, shop: psycopg.Connection) -> None:
    target = database.resolved()

    def why(statement: str, **fields: Any) -> str:
        shop.execute(f"DROP TABLE IF EXISTS orders; {statement}")  # type: ignore[call-overload]
        return HOW.unsupported(Corruption(**{"table": "orders", **fields}), target) or ""

    assert "has no primary key" in why("CREATE TABLE orders (a text)")
    assert "has no column that can be struck by flip" in why("CREATE TABLE orders (a int PRIMARY KEY, b text UNIQUE)")
    assert "has no column" in why("CREATE TABLE orders (a int PRIMARY KEY, b text CHECK (b <> ''))")
    assert "has no column" in why("CREATE TABLE orders (a int PRIMARY KEY, b text NOT NULL)", how="null")
    assert "column b is none" in why("CREATE TABLE orders (a int PRIMARY KEY, b date, c text)", column="b")
    shop.execute("CREATE DOMAIN always AS int NOT NULL")
    assert "has no column" in why("CREATE TABLE orders (a int PRIMARY KEY, b always)", how="null")
    shop.execute("DROP DOMAIN always CASCADE")
    assert "is partitioned" in why("CREATE TABLE orders (a int PRIMARY KEY) PARTITION BY RANGE (a)")
    trigger = "CREATE TRIGGER t BEFORE UPDATE ON orders EXECUTE FUNCTION suppress_redundant_updates_trigger()"
    assert "has triggers" in why(f"CREATE TABLE orders (a int PRIMARY KEY, b text); {trigger}")
    hides = "ALTER TABLE orders ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"
    assert "hides rows" in why(f"CREATE TABLE orders (a int PRIMARY KEY, b text); {hides}")


def test_what_others_refer_to_is_not_copied(database: Database, shop: psycopg.Connection) -> None:
    """Whatever the application lets refer to a copy would go with it (``ON DELETE CASCADE``)."""
    shop.execute("CREATE TABLE orders_of (id int PRIMARY KEY)")
    shop.execute("CREATE TABLE items (n int, of int REFERENCES orders_of ON DELETE CASCADE)")
    try:
        fault = Corruption(table="orders_of", how="duplicate")
        assert "is referred to by items" in (HOW.unsupported(fault, database.resolved()) or "")
    finally:
        shop.execute("DROP TABLE items, orders_of")


def test_of_two_tables_the_one_that_is_called_just_so_is_struck(
    database: Database, shop: psycopg.Connection, tmp_path: Path
) -> None:
    """Without quotes SQL reads either name in small letters."""
    shop.execute('CREATE TABLE "Orders" AS SELECT * FROM orders; ALTER TABLE "Orders" ADD PRIMARY KEY (b, a)')
    try:
        before = checksum(shop, "orders")
        record = prepared(database, Corruption(table="Orders"), tmp_path)
        HOW.inject(record, 60)
        assert checksum(shop, "orders") == before != checksum(shop, '"Orders"')
        HOW.revert(record)
        assert checksum(shop, '"Orders"') == before
        assert HOW.unsupported(Corruption(table="GOODS"), database.resolved()) is None
    finally:
        shop.execute('DROP TABLE "Orders"')


def test_a_key_that_carries_a_column_along(database: Database, shop: psycopg.Connection, tmp_path: Path) -> None:
    """A column that is only included in the key's index may be null."""
    shop.execute("DROP TABLE orders; CREATE TABLE orders (a int, b text, c text, PRIMARY KEY (a) INCLUDE (b))")
    shop.execute("INSERT INTO orders VALUES (1, NULL, 'one'), (2, 'b', 'two')")
    before = checksum(shop, "orders")
    record = prepared(database, Corruption(table="orders"), tmp_path)
    assert HOW.inject(record, 60) == {"struck": 2}
    assert shop.execute("SELECT count(*) FROM orders WHERE c IN ('one', 'two')").fetchone() == (0,)
    HOW.revert(record)
    assert checksum(shop, "orders") == before


def test_an_altered_table_gets_back_what_it_still_takes(
    database: Database, shop: psycopg.Connection, tmp_path: Path
) -> None:
    """A wider type takes all; a shorter one refuses a row, which is owed, with the others put back."""
    shop.execute("ALTER TABLE orders ADD n int DEFAULT 7; UPDATE orders SET plain = 'some longer text' WHERE a = 1")
    record = prepared(database, Corruption(table="orders", rows=50, column="n"), tmp_path)
    HOW.inject(record, 60)
    shop.execute("ALTER TABLE orders ALTER n TYPE numeric(10, 2), ALTER a TYPE bigint")
    assert HOW.active(record) is True
    HOW.revert(record)
    assert shop.execute("SELECT DISTINCT n::text FROM orders").fetchall() == [("7.00",)]
    record = prepared(database, Corruption(table="orders", rows=50, column="plain", how="truncate"), tmp_path)
    HOW.inject(record, 60)
    shop.execute("ALTER TABLE orders ALTER plain TYPE varchar(10)")
    with pytest.raises(UnavailableError, match=r"1 row cannot be put back .* value too long .*\.kept \(was\)"):
        HOW.revert(record)
    assert HOW.active(record) is True
    assert shop.execute("SELECT a, plain FROM orders WHERE plain <> 'plain ' || a").fetchall() == [(1, "some lon")]
    shop.execute("ALTER TABLE orders ALTER plain TYPE text")
    HOW.revert(record)
    assert shop.execute("SELECT plain FROM orders WHERE a = 1").fetchone() == ("some longer text",)
    assert HOW.active(record) is False
    assert schemas(shop) == []


def test_rows_are_not_struck_twice(database: Database, shop: psycopg.Connection, tmp_path: Path) -> None:
    """Undone in the order in which they were struck, they would stay false."""
    first, second = Corruption(table="orders"), Corruption(table="orders", rows=2, how="null")
    record, late = prepared(database, first, tmp_path), prepared(database, second, tmp_path) | {"name": "murphy-late"}
    HOW.inject(record, 60)
    assert f"has rows that {record['name']} has struck" in (HOW.unsupported(second, database.resolved()) or "")
    with pytest.raises(UnavailableError, match="has struck"):
        HOW.inject(late, 60)
    assert HOW.unsupported(Corruption(table="goods"), database.resolved()) is None
    HOW.revert(late)
    HOW.revert(record)
    assert HOW.unsupported(second, database.resolved()) is None


def test_where_all_tables_are_published_none_of_ours_is_made(database: Database, shop: psycopg.Connection) -> None:
    """A subscriber has no such table, and would come to a halt at its first row."""
    with psycopg.connect(database.server.url("postgres"), autocommit=True) as administrator:
        administrator.execute("CREATE PUBLICATION everything FOR ALL TABLES")
        try:
            why = HOW.unsupported(Corruption(table="orders"), database.resolved()) or ""
            assert "publishes all its tables" in why
        finally:
            administrator.execute("DROP PUBLICATION everything")


def test_a_role_that_only_reads_is_refused(database: Database, shop: psycopg.Connection) -> None:
    shop.execute("ALTER ROLE shop SET default_transaction_read_only = on")
    try:
        assert "only read" in (HOW.unsupported(Corruption(table="orders"), database.resolved()) or "")
    finally:
        shop.execute("ALTER ROLE shop RESET default_transaction_read_only")


def test_of_a_large_table_only_a_part_is_read(
    database: Database, shop: psycopg.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(named, "_SAMPLED_BYTES", 8 * 8192)
    shop.execute("INSERT INTO orders SELECT n, 'b', repeat('x', 500) FROM generate_series(51, 20000) n")
    before = checksum(shop, "orders")
    record = prepared(database, Corruption(table="orders", rows=10_000), tmp_path)
    assert 0 < HOW.inject(record, 60)["struck"] < 2_000
    HOW.revert(record)
    assert checksum(shop, "orders") == before


def test_data_that_is_not_disposable_needs_a_backup_that_is_good_now(database: Database, tmp_path: Path) -> None:
    target, fault = database.resolved(), Corruption(table="goods")
    context = Context(database.system, "murphy-corruption-2", str(tmp_path))
    assert "neither disposable nor has a backup" in (HOW.unsupported(fault, with_backup(target, None)) or "")
    archive = tmp_path / "dump"
    archive.write_bytes(b"dump")
    HOW.prepare(fault, with_backup(target, Backup(path=str(archive), verify_command=("true",))), context)
    bad = with_backup(target, Backup(path=str(archive), verify_command=("false",)))
    with pytest.raises(UnavailableError, match="was not found good: false ended with status 1"):
        HOW.prepare(fault, bad, context)


def with_backup(target: ProcessTarget, backup: Backup | None) -> ProcessTarget:
    service = Service.model_validate({**dict(target.service), "disposable": False, "backup": backup})
    return replace(target, service=service)
