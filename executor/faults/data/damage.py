"""Rows damaged and mended in PostgreSQL. Each function works in the transaction that its caller has begun.

A schema named after the injection holds one table: the key of each struck row, what was there (``was``) and what was
put there (``put``), of the column's own type. A copied row is known by its key and a hash of what it was made as.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from executor.errors import UnavailableError
from executor.faults.behaviour import Record

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.sql import SQL, Composed

_KEY = """
SELECT a.attnum, a.attname, t.typname FROM pg_index i
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey) JOIN pg_type t ON t.oid = a.atttypid
WHERE i.indrelid = %s AND i.indisprimary ORDER BY array_position(i.indkey::int2[], a.attnum)"""
_COLUMNS = """
SELECT a.attnum, a.attname, t.typname, format_type(a.atttypid, a.atttypmod), a.attnotnull
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
WHERE a.attrelid = %(oid)s AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' AND a.attidentity = ''
  AND NOT EXISTS (SELECT FROM pg_constraint c
                  WHERE c.conrelid = a.attrelid AND a.attnum = ANY (c.conkey) AND c.contype <> 'n')
  AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = a.attrelid AND i.indisunique AND
                  (a.attnum = ANY (i.indkey) OR i.indexprs IS NOT NULL OR i.indpred IS NOT NULL))
ORDER BY a.attnum"""
_OTHERS = """
SELECT attnum FROM pg_attribute
WHERE attrelid = %s AND attnum > 0 AND attnum <> %s AND NOT attisdropped AND attgenerated = '' ORDER BY attnum"""
_OTHER_UNIQUE = "SELECT 1 FROM pg_index WHERE indrelid = %s AND (indisunique OR indisexclusion) AND NOT indisprimary"
_WHOLE = ("int2", "int4", "int8")
_TEXT = "overlay({c} placing chr(CASE WHEN ascii({c}) > 1 THEN ascii({c}) # 1 ELSE 2 END) from 1 for 1)"
_DAMAGE: Final[dict[str, dict[str, str]]] = {
    "flip": {
        **dict.fromkeys(("text", "varchar", "bpchar"), _TEXT),
        **dict.fromkeys(_WHOLE, "{c} # 1"),
        **dict.fromkeys(("numeric", "float4", "float8"), "- {c}"),
        "bytea": "CASE WHEN length({c}) > 0 THEN set_bit({c}, 0, 1 - get_bit({c}, 0)) END",
        "bool": "NOT {c}",
    },
    "truncate": {
        **dict.fromkeys(("text", "varchar"), "left({c}, length({c}) / 2)"),
        "bytea": "substr({c}, 1, length({c}) / 2)",
    },
}
"""What is put in place of a column ``{c}``, by its type."""
_SAME_TEXT = """
SELECT set_config('timezone', 'UTC', true), set_config('datestyle', 'ISO', true),
  set_config('intervalstyle', 'postgres', true), set_config('bytea_output', 'hex', true),
  set_config('extra_float_digits', '1', true)"""
"""So that a row reads the same in whoever's session it is hashed."""


def look(session: Connection, oid: int, how: str, wanted: str | None, *, where: str) -> dict[str, Any]:
    """The key and, unless rows are copied, the column. Raises ``UnavailableError`` if the table has none that fits."""
    key = session.execute(_KEY, (oid,)).fetchall()
    if not key:
        raise UnavailableError("has no primary key to tell its rows apart; choose another table.", where=where)
    if how == "duplicate":
        if len(key) > 1 or key[0][2] not in _WHOLE or session.execute(_OTHER_UNIQUE, (oid,)).fetchone():
            hint = "Choose another table or another damage."
            raise UnavailableError("needs a whole number as its key, and nothing else unique.", where=where, hint=hint)
        return {"key": [key[0][0]], "others": [n for (n,) in session.execute(_OTHERS, (oid, key[0][0])).fetchall()]}
    for number, name, kind, _, never_null in session.execute(_COLUMNS, {"oid": oid}).fetchall():
        fits = not never_null if how == "null" else kind in _DAMAGE[how]
        if fits and wanted in (None, name):
            return {"key": [each[0] for each in key], "column": number}
    asked = f"column {wanted} is none that" if wanted else "has no column that"
    raise UnavailableError(f"{asked} can be struck by {how} alone, without key or constraint.", where=where)


def strike(session: Connection, record: Record) -> int:
    """Keep rows and damage them; how many."""
    names = _Names(session, record)
    if not names.there:
        raise UnavailableError("the table is not as it was, or gone.", where=record["dsn"])
    names.run("CREATE SCHEMA {schema}")
    if record["how"] == "duplicate":
        return _copy(names)
    kind, declared = names.type_of(record["column"])
    put = "NULL" if record["how"] == "null" else _DAMAGE[record["how"]][kind].format(c="t.{column}")
    # Rows that somebody is writing are passed over; the others are ours until the end of the transaction.
    names.run(
        "CREATE TABLE {kept} AS SELECT {keys}, was, put FROM"
        " (SELECT {t_keys}, t.{column} AS was, ({damage})::{declared} AS put FROM {table} t) s"
        " WHERE was IS NOT NULL AND ROW(put)::record *<> ROW(was)::record"
        " ORDER BY md5({mark} || ROW({keys})::text) LIMIT {rows} FOR UPDATE SKIP LOCKED",
        damage=put,
        declared=declared,
    )
    names.run("UPDATE {table} t SET {column} = k.put FROM {kept} k WHERE {same}")
    return names.count("SELECT count(*) FROM {kept}")


def _copy(names: _Names) -> int:
    names.run(_SAME_TEXT)
    names.run("CREATE TABLE {kept} (k1 bigint, put text)")
    names.run(
        "WITH chosen AS (SELECT t.*, row_number() OVER () AS {place} FROM {table} t"
        "                ORDER BY md5({mark} || {key}::text) LIMIT {rows}),"
        " made AS (INSERT INTO {table} AS t ({columns}) OVERRIDING SYSTEM VALUE"
        "          SELECT (SELECT least(0, min({key})) FROM {table}) - {place}{others} FROM chosen"
        "          RETURNING t.{key}, {hash})"
        " INSERT INTO {kept} SELECT * FROM made"
    )
    return names.count("SELECT count(*) FROM {kept}")


def standing(session: Connection, record: Record) -> int:
    """How many rows are as we made them."""
    names = _Names(session, record)
    if not names.kept_is_there() or not names.there:
        return 0
    session.execute(_SAME_TEXT)
    return names.count("SELECT count(*) FROM {table} t JOIN {kept} k ON {same} AND {ours}")


def mend(session: Connection, record: Record) -> int:
    """Put back what is as we made it and forget the rest; how many of the kept rows are not as they were before."""
    names = _Names(session, record)
    if not names.kept_is_there():
        return 0
    lost = names.count("SELECT count(*) FROM {kept}")
    if names.there:
        session.execute(_SAME_TEXT)
        if record["how"] == "duplicate":
            names.run("DELETE FROM {table} t USING {kept} k WHERE {same} AND {ours}")
            lost = names.count("SELECT count(*) FROM {table} t JOIN {kept} k ON {same}")
        else:
            names.run("UPDATE {table} t SET {column} = k.was FROM {kept} k WHERE {same} AND {ours}")
            lost -= names.count("SELECT count(*) FROM {table} t JOIN {kept} k ON {same} AND {mended}")
    names.run("DROP TABLE {kept}")
    names.run("DROP SCHEMA {schema}")
    return lost


class _Names:
    """What tables and columns are called now: they may have been renamed since."""

    def __init__(self, session: Connection, record: Record) -> None:
        from psycopg import sql

        self._session, self._record = session, record
        found = session.execute(
            "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE c.oid = %s",
            (record["oid"],),
        ).fetchone()
        columns: dict[int, str] = dict(
            session.execute(
                "SELECT attnum, attname FROM pg_attribute WHERE attrelid = %s AND NOT attisdropped", (record["oid"],)
            ).fetchall()
        )
        struck = [*record.get("others", ()), *([record["column"]] if "column" in record else [])]
        self.there = found is not None and {*record["key"], *struck} <= columns.keys()
        """Whether the table is there, with its key and the columns."""
        name, comma = sql.Identifier, sql.SQL(", ").join
        keys = [name(columns.get(number, "")) for number in record["key"]]
        kept = [name(f"k{place}") for place, _ in enumerate(keys, 1)]
        pairs = list(zip(keys, kept, strict=True))
        others = [name(columns.get(number, "")) for number in record.get("others", ())]
        column = name(columns.get(record.get("column", 0), ""))
        row = comma(sql.SQL("t.{}").format(each) for each in (keys[0], *others))
        self._words: dict[str, Any] = {
            "schema": name(record["name"]),
            "kept": name(record["name"], "kept"),
            "table": name(*(found or ("", ""))),
            "column": column,
            "key": keys[0],
            "keys": comma(kept),
            "t_keys": comma(sql.SQL("t.{} AS {}").format(*pair) for pair in pairs),
            "columns": comma((keys[0], *others)),
            "others": sql.SQL("").join(sql.SQL(", {}").format(each) for each in others),
            "hash": sql.SQL("md5(ROW({})::text)").format(row),
            "same": sql.SQL(" AND ").join(sql.SQL("t.{} = k.{}").format(*pair) for pair in pairs),
            "mark": sql.Literal(record["name"]),
            "place": name(record["name"]),  # no column of the table is called so
            "rows": sql.Literal(record["rows"]),
        }
        ours = "{hash} = k.put" if record["how"] == "duplicate" else "ROW(t.{column})::record *= ROW(k.put)::record"
        self._words["ours"] = self._filled(ours)
        self._words["mended"] = self._filled("ROW(t.{column})::record *= ROW(k.was)::record")

    def run(self, statement: str, **parts: str) -> None:
        """Carry out a statement of ours, its names and parts filled in."""
        self._words |= {part: self._filled(text) for part, text in parts.items()}
        self._session.execute(self._filled(statement))

    def count(self, query: str) -> int:
        """The number that a query of ours gives."""
        found = self._session.execute(self._filled(query)).fetchone()
        return int(found[0]) if found else 0

    def type_of(self, number: int) -> tuple[str, str]:
        """A column's type, by its plain name and as declared."""
        found = self._session.execute(
            "SELECT t.typname, format_type(a.atttypid, a.atttypmod) FROM pg_attribute a JOIN pg_type t"
            " ON t.oid = a.atttypid WHERE a.attrelid = %s AND a.attnum = %s",
            (self._record["oid"], number),
        ).fetchone()
        if found is None:
            raise UnavailableError("the column is gone.", where=self._record["dsn"])
        return str(found[0]), str(found[1])

    def kept_is_there(self) -> bool:
        """Whether rows are kept."""
        return bool(
            self._session.execute(
                "SELECT 1 FROM pg_tables WHERE schemaname = %s AND tablename = 'kept'", (self._record["name"],)
            ).fetchone()
        )

    def _filled(self, statement: str) -> Composed:
        from psycopg import sql

        ready: SQL = sql.SQL(statement)  # all that is put together here is ours
        return ready.format(**self._words)
