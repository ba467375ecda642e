"""Rows damaged and mended in PostgreSQL. Each function works in the transaction that its caller has begun.

A schema named after the injection holds one table: the key of each struck row, what was there (``was``) and what was
put there (``put``), of the column's own type. A copied row is known by its key and a hash of what it was made as.
The table's comment says whose rows they are. Types are as they are by now, so that an altered one is put back too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from executor.errors import UnavailableError
from executor.faults.behaviour import Record
from executor.faults.data.named import Names
from executor.servers import postgresql

if TYPE_CHECKING:
    from psycopg import Connection

_KEY = """
SELECT a.attnum, a.attname, t.typname FROM pg_index i
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])
JOIN pg_type t ON t.oid = a.atttypid
WHERE i.indrelid = %s AND i.indisprimary ORDER BY array_position(i.indkey::int2[], a.attnum)"""
"""Not what the index only carries along (``INCLUDE``), which may be null or struck."""
_COLUMNS = """
SELECT a.attnum, a.attname, t.typname, format_type(a.atttypid, a.atttypmod), a.attnotnull OR t.typtype = 'd'
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
_REFERRED_TO = "SELECT conrelid::regclass::text FROM pg_constraint WHERE contype = 'f' AND confrelid = %s LIMIT 1"
_ALREADY = """
SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relname = 'kept' AND n.nspname LIKE 'murphy-%%' AND obj_description(c.oid, 'pg_class') = %s"""
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


def look(session: Connection, oid: int, how: str, wanted: str | None, *, where: str) -> dict[str, Any]:
    """The key and, unless rows are copied, the column. Raises ``UnavailableError`` if the table has none that fits."""
    _refuse_struck(session, oid, where=where)
    key = session.execute(_KEY, (oid,)).fetchall()
    if not key:
        raise UnavailableError("has no primary key to tell its rows apart; choose another table.", where=where)
    if how == "duplicate":
        if len(key) > 1 or key[0][2] not in _WHOLE or session.execute(_OTHER_UNIQUE, (oid,)).fetchone():
            hint = "Choose another table or another damage."
            raise UnavailableError("needs a whole number as its key, and nothing else unique.", where=where, hint=hint)
        if found := session.execute(_REFERRED_TO, (oid,)).fetchone():
            why = f"is referred to by {found[0]}: what comes to refer to a copy would go with it, or keep it there."
            raise UnavailableError(why, where=where, hint="Choose another table or another damage.")
        return {"key": [key[0][0]], "others": [n for (n,) in session.execute(_OTHERS, (oid, key[0][0])).fetchall()]}
    for number, name, kind, _, never_null in session.execute(_COLUMNS, {"oid": oid}).fetchall():
        fits = not never_null if how == "null" else kind in _DAMAGE[how]
        if fits and wanted in (None, name):
            return {"key": [each[0] for each in key], "column": number}
    asked = f"column {wanted} is none that" if wanted else "has no column that"
    raise UnavailableError(f"{asked} can be struck by {how} alone, without key or constraint.", where=where)


def _refuse_struck(session: Connection, oid: int, *, where: str) -> None:
    """Undone in another order than struck, rows that were struck twice would stay false."""
    if found := session.execute(_ALREADY, (str(oid),)).fetchone():
        hint = "Wait until that is undone, or undo it: murphy recover."
        raise UnavailableError(f"has rows that {found[0]} has struck.", where=where, hint=hint)


def strike(session: Connection, record: Record) -> int:
    """Keep rows and damage them; how many."""
    names = Names(session, record)
    if not names.there:
        raise UnavailableError("the table is not as it was, or gone.", where=record["dsn"])
    _refuse_struck(session, record["oid"], where=record["dsn"])
    names.run("CREATE SCHEMA {schema}")
    if record["how"] == "duplicate":
        return _copy(names)
    put = "NULL" if record["how"] == "null" else _DAMAGE[record["how"]][names.kind].format(c="t.{column}")
    # Rows that somebody is writing are passed over; the others are ours until the end of the transaction.
    names.run(
        "CREATE TABLE {kept} AS SELECT {keys}, was, put FROM"
        " (SELECT {t_keys}, t.{column} AS was, ({damage})::{declared} AS put FROM {table} t {sampled}) s"
        " WHERE was IS NOT NULL AND ROW(put)::record *<> ROW(was)::record"
        " ORDER BY md5({mark} || ROW({keys})::text) LIMIT {rows} FOR UPDATE SKIP LOCKED",
        damage=put,
    )
    names.run("COMMENT ON TABLE {kept} IS {oid}")
    names.run("UPDATE {table} t SET {column} = k.put FROM {kept} k WHERE {same}")
    return names.count("SELECT count(*) FROM {kept}")


def _copy(names: Names) -> int:
    names.session.execute(postgresql.SAME_TEXT)
    names.run("CREATE TABLE {kept} (k1 bigint, put text)")
    names.run("COMMENT ON TABLE {kept} IS {oid}")
    names.run(
        "WITH chosen AS (SELECT t.*, row_number() OVER () AS {place} FROM {table} t {sampled}"
        "                ORDER BY md5({mark} || {key}::text) LIMIT {rows}),"
        " made AS (INSERT INTO {table} AS t ({columns}) OVERRIDING SYSTEM VALUE"
        "          SELECT (SELECT least(0, min({key})) FROM {table}) - {place}{others} FROM chosen"
        "          RETURNING t.{key}, {hash})"
        " INSERT INTO {kept} SELECT * FROM made"
    )
    return names.count("SELECT count(*) FROM {kept}")


def standing(session: Connection, record: Record) -> int:
    """How many rows are as we made them."""
    names = Names(session, record)
    if not names.kept_is_there() or not names.there:
        return 0
    session.execute(postgresql.SAME_TEXT)
    return names.count("SELECT count(*) FROM {table} t JOIN {kept} k ON {same} AND {ours}")


def mend(session: Connection, record: Record) -> tuple[int, list[str]]:
    """Put back what is as we made it and forget the rest.

    How many of the kept rows are not as they were before; and what the server says of each that the table does not
    take any more as it was, since it was altered. These stay kept.
    """
    names = Names(session, record)
    owed: list[str] = []
    if not names.kept_is_there():
        return 0, owed
    lost = names.count("SELECT count(*) FROM {kept}")
    if names.there:
        session.execute(postgresql.SAME_TEXT)
        if record["how"] == "duplicate":
            names.run("DELETE FROM {table} t USING {kept} k WHERE {same} AND {ours}")
            lost = names.count("SELECT count(*) FROM {table} t JOIN {kept} k ON {same}")
        else:
            mended, owed = _restore(names)
            lost -= mended + len(owed)
    if not owed:
        names.run("DROP TABLE {kept}")
        names.run("DROP SCHEMA {schema}")
    return lost, owed


def _restore(names: Names) -> tuple[int, list[str]]:
    """Put all back in one go, or else one by one; how many are as before, and why each other could not be."""
    import psycopg

    mended, owed = 0, []
    for some in ("true", *names.each()):
        try:
            with names.session.transaction():
                names.run(
                    "UPDATE {table} t SET {column} = k.was::{plain} FROM {kept} k WHERE {same} AND {ours} AND {some}",
                    some=some,
                )
                mended += names.count("SELECT count(*) FROM {table} t JOIN {kept} k ON {same} AND {mended} AND {some}")
                if some == "true":
                    return mended, []
                names.run("DELETE FROM {kept} k WHERE {some}")  # else it would be put back once more, next time
        except (psycopg.DataError, psycopg.ProgrammingError, psycopg.IntegrityError) as error:
            if some != "true":
                owed.append(str(error).partition("\n")[0])
    return mended, owed
