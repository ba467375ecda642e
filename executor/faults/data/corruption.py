"""data.corruption: rows of a table are damaged, and put back afterwards unless the application wrote them meanwhile."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from executor.drivers.targets import ProcessTarget, Resolved
from executor.errors import UnavailableError
from executor.faults.behaviour import Context, LeaseKind, Record
from executor.faults.data import rows
from executor.faults.looking import Looking

if TYPE_CHECKING:
    from executor.model.faults.data import Corruption as Spec

log = logging.getLogger(__name__)


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
        return rows.look(target, fault.table, fault.rows, fault.how, fault.column)

    def prepare(self, fault: Spec, target: Resolved, context: Context) -> dict[str, Any]:
        """Record what is to be damaged. Raises ``UnavailableError`` as ``unsupported`` says, or for a bad backup."""
        assert isinstance(target, ProcessTarget)
        record = self.look(fault, target)
        rows.refuse_unbacked(target)
        return {**record, "name": context.mark}

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:  # noqa: ARG002 - the watchdog holds the lease
        """Keep the rows and damage them; returns how many. Raises ``UnavailableError`` if none could be."""
        return {"struck": rows.strike(record)}

    def active(self, record: Record) -> bool | None:
        """Whether a row still shows the damage."""
        try:
            return bool(rows.standing(record))
        except UnavailableError:
            return None

    def revert(self, record: Record) -> None:
        """Put back what still shows our damage. Raises ``UnavailableError`` if it cannot; the rows stay kept then."""
        if lost := rows.mend(record):
            log.warning(
                "%s: %d damaged rows were written or removed by the application meanwhile; they are left as they are.",
                record["name"],
                lost,
            )
