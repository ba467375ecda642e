"""A restored copy of a PostgreSQL database held against the one that it should bring back."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from executor.servers import postgresql

if TYPE_CHECKING:
    import psycopg

    from executor.servers.scratch_postgresql import Scratch

MEASURED = ("tables_compared", "tables_equal", "tables_missing", "rows_lost", "invariants_broken")
MOST_ROWS = 200_000
"""A larger table is not compared: reading it would be a fault of its own."""
_TABLES = """
SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
  AND n.nspname NOT LIKE 'murphy-%' ORDER BY 1"""
"""Partitions, but not what is partitioned, whose rows are theirs."""
_CALLED = "SELECT format('%%I.%%I', %s::text, %s::text)"
_IS_PARTITIONED = "SELECT relkind = 'p' FROM pg_class WHERE oid = %s::regclass"
_ROLES = "SELECT rolname FROM pg_roles WHERE rolname NOT LIKE 'pg\\_%'"


def compare(dsn: str, scratch: Scratch, tables: list[str], invariants: list[str]) -> dict[str, Any]:
    """What of the database is in the copy: ``rows_lost`` are rows of the database that the copy has not, as they are.

    Names without a schema mean in the copy what they mean in the database, to the role that is asked there.

    Raises ``UnavailableError`` if the database cannot be read.
    """
    import psycopg

    with postgresql.session(dsn) as live, _copy(scratch) as copy:
        for session in (live, copy):
            session.execute(postgresql.OWN_PATH)
            session.execute(postgresql.SAME_TEXT)
        chosen = [_called(live, name, dsn) for name in tables] or [name for (name,) in live.execute(_TABLES).fetchall()]
        lost: dict[str, int] = {}
        missing: list[str] = []
        for table in chosen:
            if (ours := _rows(live, table)) is None:
                continue
            try:
                lost[table] = sum((ours - (_rows(copy, table) or Counter())).values())
            except psycopg.Error:
                missing.append(table)
                lost[table] = sum(ours.values())
        _look_in(copy, postgresql.schemas(live))
        return {
            "tables_compared": len(lost),
            "tables_equal": sum(not count for table, count in lost.items() if table not in missing),
            "tables_missing": missing,
            "rows_lost": sum(lost.values()),
            "invariants_broken": [query for query in invariants if not _holds(copy, query)],
        }


def same_roles(dsn: str, scratch: Scratch) -> None:
    """Give the copy roles of the same names, none of which can log in: a backup may speak of them."""
    from psycopg import sql

    with postgresql.session(dsn) as live, _copy(scratch) as copy:
        there = set(copy.execute(_ROLES).fetchall())
        for (role,) in sorted(set(live.execute(_ROLES).fetchall()) - there):
            copy.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))


def _copy(scratch: Scratch) -> psycopg.Connection:
    import psycopg

    where = scratch.environment
    return psycopg.connect(
        host=where["PGHOST"], port=where["PGPORT"], user=where["PGUSER"], dbname=where["PGDATABASE"], autocommit=True
    )


def _called(live: psycopg.Connection, name: str, dsn: str) -> str:
    found = live.execute(_CALLED, postgresql.table(live, name, where=dsn)[1:]).fetchone()
    assert found is not None
    return str(found[0])


def _look_in(copy: psycopg.Connection, schemas: list[str]) -> None:
    from psycopg import sql

    path = sql.SQL(", ").join(map(sql.Identifier, schemas or [""]))
    copy.execute(sql.SQL("SET search_path TO {}").format(path))


def _rows(session: psycopg.Connection, table: str) -> Counter[str] | None:
    """Its own rows as hashes, those of one that is partitioned too; ``None`` if there are too many to be compared."""
    from psycopg import sql

    only = sql.SQL("" if session.execute(_IS_PARTITIONED, (table,)).fetchone() == (True,) else "ONLY")
    ready = sql.SQL("SELECT md5(ROW(t.*)::text) FROM {} {} t LIMIT {}")
    # A name that was looked up, and that the server has quoted.
    found = session.execute(ready.format(only, sql.SQL(table), sql.Literal(MOST_ROWS + 1))).fetchall()
    return None if len(found) > MOST_ROWS else Counter(row for (row,) in found)


def _holds(session: psycopg.Connection, query: str) -> bool:
    """Whether a query answers true; one that fails does not."""
    import psycopg

    try:
        with session.transaction():
            session.execute("SET TRANSACTION READ ONLY")
            return session.execute(query.encode()).fetchone() == (True,)
    except psycopg.Error:
        return False
