"""What damaged rows, and the table that keeps what they were, are called in statements of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from executor.faults.behaviour import Record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from psycopg import Connection
    from psycopg.sql import SQL, Composed

_NOW = """
SELECT a.attnum, a.attname, t.typname, format_type(a.atttypid, a.atttypmod), format_type(a.atttypid, -1)
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid WHERE a.attrelid = %s AND NOT a.attisdropped"""
_SAMPLED_BYTES: Final = 16 * 2**20
"""So much of a table, by whole pages, is read to choose rows from."""
_SAMPLED = "TABLESAMPLE SYSTEM (least(100, 100.0 * {} / greatest(pg_relation_size({}), 1)))"


def sampled(oid: int) -> SQL:
    """What follows a table's name in a query of ours so that rows are chosen from a part of it, if it is large."""
    from psycopg import sql

    return sql.SQL(_SAMPLED.format(_SAMPLED_BYTES, int(oid)))  # a number, and ours


class Names:
    """What tables and columns are called now: they may have been renamed since."""

    def __init__(self, session: Connection, record: Record) -> None:
        from psycopg import sql

        self.session, self._record = session, record
        found = session.execute(
            "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE c.oid = %s",
            (record["oid"],),
        ).fetchone()
        about: dict[int, list[str]] = {
            number: rest for number, *rest in session.execute(_NOW, (record["oid"],)).fetchall()
        }
        columns: dict[int, str] = {number: name for number, (name, *_) in about.items()}
        self.kind, declared, plain = about.get(record.get("column", 0), ["", "", "text", "text"])[1:]
        struck = [*record.get("others", ()), *([record["column"]] if "column" in record else [])]
        self.there = found is not None and {*record["key"], *struck} <= columns.keys()
        """Whether the table is there, with its key and the columns."""
        name, comma = sql.Identifier, sql.SQL(", ").join
        keys = [name(columns.get(number, "")) for number in record["key"]]
        kept = [name(f"k{place}") for place, _ in enumerate(keys, 1)]
        pairs = list(zip(keys, kept, strict=True))
        types = [sql.SQL(about.get(number, ["", "", "text"])[2]) for number in record["key"]]
        typed = [(*pair, kind) for pair, kind in zip(pairs, types, strict=True)]
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
            "same": sql.SQL(" AND ").join(sql.SQL("t.{} = k.{}::{}").format(*pair) for pair in typed),
            "declared": sql.SQL(declared),
            "plain": sql.SQL(plain),  # without its length: what is too long is then refused, not cut
            "oid": sql.Literal(str(record["oid"])),
            "sampled": sampled(record["oid"]),
            "mark": sql.Literal(record["name"]),
            "place": name(record["name"]),  # no column of the table is called so
            "rows": sql.Literal(record["rows"]),
        }
        ours = (
            "{hash} = k.put"
            if record["how"] == "duplicate"
            else "ROW(t.{column})::record *= ROW(k.put::{declared})::record"
        )
        self._words["ours"] = self._filled(ours)
        self._words["mended"] = self._filled("ROW(t.{column})::record *= ROW(k.was::{declared})::record")

    def run(self, statement: str, **parts: str) -> None:
        """Carry out a statement of ours, its names and parts filled in."""
        self._words |= {part: self._filled(text) for part, text in parts.items()}
        self.session.execute(self._filled(statement))

    def count(self, query: str) -> int:
        """The number that a query of ours gives."""
        found = self.session.execute(self._filled(query)).fetchone()
        return int(found[0]) if found else 0

    def each(self) -> Iterator[str]:
        """What chooses one kept row, for each."""
        for (row,) in self.session.execute(self._filled("SELECT ctid::text FROM {kept}")).fetchall():
            yield f"k.ctid = '{row}'"

    def kept_is_there(self) -> bool:
        """Whether rows are kept."""
        return bool(
            self.session.execute(
                "SELECT 1 FROM pg_tables WHERE schemaname = %s AND tablename = 'kept'", (self._record["name"],)
            ).fetchone()
        )

    def _filled(self, statement: str) -> Composed:
        from psycopg import sql

        ready: SQL = sql.SQL(statement)  # all that is put together here is ours
        return ready.format(**self._words)
