"""How a replica is made to differ: rows of a table that a subscriber of PostgreSQL gets by logical replication.

They are falsified on the subscriber and kept there, as ``data.corruption`` does it: under the same gate, and put back
only where they still are as we made them. A row that the primary writes meanwhile is overwritten by what it sends.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from executor.drivers.targets import ProcessTarget
from executor.errors import UnavailableError
from executor.faults.behaviour import Record
from executor.faults.data import rows
from executor.model.wording import many
from executor.servers import postgresql

if TYPE_CHECKING:
    from executor.model.faults.data import Inconsistency as Spec

log = logging.getLogger(__name__)

OUTLIVES_THE_SERVER = True
"""Rows stay, so they are owed even when the server is down."""
refuse = rows.refuse_unbacked
_ABOUT = """
SELECT EXISTS (SELECT FROM pg_subscription_rel r JOIN pg_subscription s ON s.oid = r.srsubid
               WHERE r.srrelid = %(oid)s AND r.srsubstate = 'r' AND s.subenabled),
  EXISTS (SELECT FROM pg_publication_tables p JOIN pg_namespace n ON n.nspname = p.schemaname
          JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = p.tablename WHERE c.oid = %(oid)s)"""


def look(fault: Spec, target: ProcessTarget) -> dict[str, Any]:
    """A table that the server gets from a primary and gives to nobody."""
    assert fault.table is not None
    assert fault.divergence is not None
    record = rows.look(target, fault.table, fault.divergence, "flip")
    with postgresql.session_of(target) as session:
        received, published = session.execute(_ABOUT, {"oid": record["oid"]}).fetchone() or (False, False)
    if not received:
        why = f"does not get {fault.table} from a primary by a subscription that is enabled and has caught up."
        raise UnavailableError(why, where=target.service.name)
    if published:
        why = f"publishes {fault.table} itself, so that others would get what is false; choose another."
        raise UnavailableError(why, where=target.service.name)
    return record


def make(record: Record) -> dict[str, Any]:
    """Keep the rows and falsify them; returns how many."""
    return {"struck": rows.strike(record)}


def shows(record: Record) -> bool:
    """Whether a row is still as we made it."""
    return bool(rows.standing(record))


def tells(record: Record) -> str:
    """How many rows are."""
    return f"{many(rows.standing(record), 'row')} of the replica differ from the primary's"


def undo(record: Record) -> None:
    """Put back what is still as we made it."""
    if renewed := rows.mend(record):
        said = "%s: %d rows were written or removed meanwhile, by the primary or others; they are left as they are."
        log.warning(said, record["name"], renewed)
