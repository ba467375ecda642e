"""Rows of one table, kept and falsified in one transaction, and put back where they still are as we made them."""

from __future__ import annotations

from typing import Any, Final

from executor.drivers.targets import ProcessTarget
from executor.errors import SafetyRefusalError, UnavailableError
from executor.faults.behaviour import Record
from executor.faults.data import damage
from executor.model.wording import many
from executor.servers import postgresql

MOST_BYTES: Final = 256 * 2**20
"""Size of a table beyond which choosing rows from all of it would be a fault of its own."""
_ABOUT = """
SELECT c.relkind = 'r' AND NOT c.relhasrules AND NOT c.relhassubclass,
  EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgenabled <> 'D'),
  row_security_active(c.oid), pg_table_size(c.oid), pg_is_in_recovery(),
  has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'UPDATE')
    AND has_table_privilege(c.oid, 'INSERT') AND has_table_privilege(c.oid, 'DELETE'),
  has_database_privilege(current_database(), 'CREATE'), current_setting('transaction_read_only')::bool,
  EXISTS (SELECT FROM pg_publication WHERE puballtables)
FROM pg_class c WHERE c.oid = %s"""


def look(target: ProcessTarget, table: str, rows: int, how: str, column: str | None = None) -> dict[str, Any]:
    """A table of a PostgreSQL, with rows that can be told apart and a column that can be struck without harm.

    Raises ``UnavailableError`` that says what is in the way, of data too that is neither disposable nor backed up.
    """
    service = target.service
    with postgresql.session_of(target) as session:
        if not service.disposable and service.backup is None:
            raise UnavailableError("is neither disposable nor has a backup; say so in system.yaml.", where=service.name)
        oid, _, _ = postgresql.table(session, table, where=service.name)
        about = session.execute(_ABOUT, (oid,)).fetchone()
        assert about is not None
        plain, triggers, hidden, size, replica, may, may_keep, reads, all_published = about
        reasons = {
            f"{table} is partitioned, inherited from or rewritten by rules; choose another.": not plain,
            f"{table} has triggers, whose work could not be undone; choose another.": triggers,
            f"{table} hides rows from this role; choose another.": hidden,
            f"{table} has {size // 2**20} MiB, {MOST_BYTES // 2**20} at most.": size > MOST_BYTES,
            "is a replica, which cannot be written to.": replica,
            f"does not let this role change {table}.": not may,
            "does not let this role make a schema, where the rows are kept.": not may_keep,
            "lets this role only read (default_transaction_read_only); name one that writes.": reads,
            "publishes all its tables, so that ours, where rows are kept, would end the replication of those who have"
            " no such table; let it publish its tables by name.": all_published,
        }
        if why := next((reason for reason, holds in reasons.items() if holds), None):
            raise UnavailableError(why, where=service.name)
        found = damage.look(session, oid, how, column, where=f"{service.name}, {table}")
    return {"dsn": service.dsn, "oid": oid, "how": how, "rows": rows, **found}


def refuse_unbacked(target: ProcessTarget) -> None:
    """Raise ``UnavailableError`` for data that is neither disposable nor has a backup that is found good now."""
    if not target.service.disposable:
        from executor.safety.backup import refuse_unfit

        try:
            refuse_unfit(target.service)
        except SafetyRefusalError as refusal:
            raise UnavailableError(str(refusal), where=target.service.name) from None


def strike(record: Record) -> int:
    """Keep the rows and falsify them; how many. Raises ``UnavailableError`` if none could be."""
    with postgresql.session(record["dsn"], name=record["name"]) as session, session.transaction():
        struck = damage.strike(session, record)
        if not struck:
            raise UnavailableError("the table has no row that could be damaged so.", where=record["dsn"])
    return struck


def standing(record: Record) -> int:
    """How many rows still show it. Raises ``UnavailableError`` if the server cannot be asked."""
    with postgresql.session(record["dsn"]) as session, session.transaction():
        return damage.standing(session, record)


def mend(record: Record) -> int:
    """Put back what still shows it; how many rows others have written or removed meanwhile, which are left so.

    Raises ``UnavailableError`` if it cannot; the rows stay kept then.
    """
    with postgresql.session(record["dsn"]) as session:
        postgresql.end_named(session, record["name"], where=record["dsn"])  # or it might still commit
        with session.transaction():
            lost, owed = damage.mend(session, record)
    if owed:
        kept = f'in "{record["name"]}".kept (was)'
        raise UnavailableError(
            f"{many(len(owed), 'row')} cannot be put back since the table was altered: PostgreSQL says {owed[0]}.",
            where=record["dsn"],
            hint=f"What was there is {kept}; put it right by hand and drop that schema.",
        )
    return lost
