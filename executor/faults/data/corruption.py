"""data.corruption: rows of a table are damaged, and put back afterwards unless the application wrote them meanwhile."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from executor.drivers.targets import ProcessTarget, Resolved
from executor.errors import SafetyRefusalError, UnavailableError
from executor.faults.behaviour import Context, LeaseKind, Record
from executor.faults.data import damage
from executor.faults.looking import Looking
from executor.servers import postgresql

if TYPE_CHECKING:
    from executor.model.faults.data import Corruption as Spec

log = logging.getLogger(__name__)

MOST_BYTES = 256 * 2**20
"""Size of a table beyond which choosing rows from all of it would be a fault of its own."""
_ABOUT = """
SELECT c.relkind = 'r' AND NOT c.relhasrules AND NOT c.relhassubclass,
  EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgenabled <> 'D'),
  row_security_active(c.oid), pg_table_size(c.oid), pg_is_in_recovery(),
  has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'UPDATE')
    AND has_table_privilege(c.oid, 'INSERT') AND has_table_privilege(c.oid, 'DELETE'),
  has_database_privilege(current_database(), 'CREATE')
FROM pg_class c WHERE c.oid = %s"""


class Corruption(Looking):
    """Only where the data is disposable or has a backup that was found good right before.

    Before-images stay in the database: one transaction copies the rows into a schema of ours and damages them, so both
    happened or neither, whoever dies in the middle. Undoing puts a field back only where it still holds what we put
    there, byte for byte; what the application wrote or removed meanwhile is left as it is, and said in the log.
    """

    kind = "data.corruption"
    lease: LeaseKind = "watchdog"

    def look(self, fault: Spec, target: ProcessTarget) -> dict[str, Any]:
        """A table of a PostgreSQL, with rows that can be told apart and a column that can be struck without harm."""
        service = target.service
        if not service.disposable and service.backup is None:
            raise UnavailableError("is neither disposable nor has a backup; say so in system.yaml.", where=service.name)
        with postgresql.session_of(target) as session:
            oid, _, _ = postgresql.table(session, fault.table, where=service.name)
            about = session.execute(_ABOUT, (oid,)).fetchone()
            assert about is not None
            plain, triggers, hidden, size, replica, may, may_keep = about
            reasons = {
                f"{fault.table} is partitioned, inherited from or rewritten by rules; choose another.": not plain,
                f"{fault.table} has triggers, whose work could not be undone; choose another.": triggers,
                f"{fault.table} hides rows from this role; choose another.": hidden,
                f"{fault.table} has {size // 2**20} MiB, {MOST_BYTES // 2**20} at most.": size > MOST_BYTES,
                "is a replica, which cannot be written to.": replica,
                f"does not let this role change {fault.table}.": not may,
                "does not let this role make a schema, where the rows are kept.": not may_keep,
            }
            if why := next((reason for reason, holds in reasons.items() if holds), None):
                raise UnavailableError(why, where=service.name)
            how = damage.look(session, oid, fault.how, fault.column, where=f"{service.name}, {fault.table}")
        return {"dsn": service.dsn, "oid": oid, "how": fault.how, "rows": fault.rows, **how}

    def prepare(self, fault: Spec, target: Resolved, context: Context) -> dict[str, Any]:
        """Record what is to be damaged. Raises ``UnavailableError`` as ``unsupported`` says, or for a bad backup."""
        assert isinstance(target, ProcessTarget)
        record = self.look(fault, target)
        if not target.service.disposable:
            from executor.safety.backup import refuse_unfit

            try:
                refuse_unfit(target.service)
            except SafetyRefusalError as refusal:
                raise UnavailableError(str(refusal), where=target.service.name) from None
        return {**record, "name": context.mark}

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:  # noqa: ARG002 - the watchdog holds the lease
        """Keep the rows and damage them; returns how many. Raises ``UnavailableError`` if none could be."""
        with postgresql.session(record["dsn"], name=record["name"]) as session, session.transaction():
            struck = damage.strike(session, record)
            if not struck:
                raise UnavailableError("the table has no row that could be damaged so.", where=record["dsn"])
        return {"struck": struck}

    def active(self, record: Record) -> bool | None:
        """Whether a row still shows the damage."""
        try:
            with postgresql.session(record["dsn"]) as session, session.transaction():
                return damage.shows(session, record)
        except UnavailableError:
            return None

    def revert(self, record: Record) -> None:
        """Put back what still shows our damage. Raises ``UnavailableError`` if it cannot; the rows stay kept then."""
        with postgresql.session(record["dsn"]) as session:
            postgresql.end_named(session, record["name"], where=record["dsn"])  # or it might still commit
            with session.transaction():
                lost = damage.mend(session, record)
        if lost:
            log.warning(
                "%s: %d damaged rows were written or removed by the application meanwhile; they are left as they are.",
                record["name"],
                lost,
            )
