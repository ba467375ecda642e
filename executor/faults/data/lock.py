"""data.lock: a helper's transaction holds a lock on a table, or on some of its rows."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from executor.drivers.targets import ProcessTarget, Resolved
from executor.errors import UnavailableError
from executor.faults import held
from executor.faults.behaviour import Context, LeaseKind, Record
from executor.faults.data.named import sampled
from executor.faults.looking import Looking
from executor.kernel import child, process
from executor.servers import postgresql

if TYPE_CHECKING:
    from psycopg import Connection

    from executor.model.faults.data import Lock as Spec

_MAY_LOCK = "SELECT NOT pg_is_in_recovery() AND has_table_privilege(%s::oid, 'UPDATE, DELETE, TRUNCATE')"
_MAY_LOCK_ROWS = """
SELECT c.relkind = 'r' AND NOT c.relhassubclass, NOT pg_is_in_recovery() AND has_any_column_privilege(c.oid, 'UPDATE')
  AND has_table_privilege(c.oid, 'SELECT'), current_setting('transaction_read_only')::bool
FROM pg_class c WHERE c.oid = %s"""
_TABLE = "LOCK TABLE {table} IN {mode} MODE"
_ROWS = "SELECT FROM {table} t {sampled} ORDER BY md5({mark} || t.ctid::text) LIMIT {rows} FOR UPDATE SKIP LOCKED"
_HOLDS = """
SELECT 1 FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE a.application_name = %(name)s AND l.granted AND l.relation = %(oid)s::oid AND l.mode = %(mode)s"""
_HOLDS_ROWS = """
SELECT 1 FROM pg_locks l JOIN pg_stat_activity a USING (pid) JOIN pg_locks x USING (pid)
WHERE a.application_name = %(name)s AND l.granted AND l.relation = %(oid)s::oid AND l.mode = 'RowShareLock'
  AND x.granted AND x.locktype = 'transactionid' AND x.mode = 'ExclusiveLock'"""
_END = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s AND usename = current_user"


class Lock(Looking, held.Held):
    """The lock dies with the helper's connection; the server ends the session itself if the helper falls silent.

    Waiting for a table's lock, which holds up others already, ends after 3 s. Rows that somebody else has are not
    waited for: others are taken.
    """

    kind = "data.lock"
    lease: LeaseKind = "parent_death"

    def prepare(self, fault: Spec, target: Resolved, context: Context) -> dict[str, Any]:
        """Record which table. Raises ``UnavailableError`` as ``unsupported`` says."""
        assert isinstance(target, ProcessTarget)
        return {**self.look(fault, target), "name": context.mark, **held.record(context)}

    def look(self, fault: Spec, target: ProcessTarget) -> dict[str, Any]:
        """A PostgreSQL that a dsn leads to, with such a table that we may lock, or rows of it."""
        with postgresql.session_of(target) as session:
            oid, schema, table = postgresql.table(session, fault.table, where=target.service.name)
            refuse = _refuse_table if fault.rows is None else _refuse_rows
            refuse(session, oid, fault.table, where=target.service.name)
        server = {"pid": target.pid, "ticks": target.start_ticks, "dsn": target.service.dsn}
        which = {"oid": oid, "schema": schema, "table": table, "mode": fault.mode, "rows": fault.rows}
        return server | which

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:
        """Start the helper; it is ready once it has the lock. Raises ``UnavailableError`` if it does not get it."""
        parts = ("dsn", "name", "oid", "schema", "table", "mode", "rows")
        arguments = [*(str(record[part] or "") for part in parts), str(lease_s)]
        return held.start("executor.faults.data.lock", arguments, record, lease_s, ready_s=20)

    def ended(self, record: Record) -> bool:
        """Whether the server is gone, and the helper's connection with it."""
        return not process.alive(record["pid"], record["ticks"])

    def active(self, record: Record) -> bool | None:
        """Whether the server shows our lock; a lock cannot outlive the server's process.

        Of locks on rows it shows none: a row only says which transaction has it, for as long as that goes on. So rows
        are locked while our transaction goes on that has locked some: it has a number, which it gets with the first
        row. Trying the rows would tell as much, and hold up whoever wants one meanwhile.
        Source: PostgreSQL manual, "pg_locks", and "Transactions and Identifiers".
        """
        mode = f"{record['mode'].title().replace(' ', '')}Lock"
        asked = {"name": record["name"], "oid": record["oid"], "mode": mode}
        try:
            with postgresql.session(record["dsn"]) as session:
                found = session.execute(_HOLDS_ROWS if record["rows"] else _HOLDS, asked)
                shown = found.fetchone() is not None
        except UnavailableError:
            return None if process.alive(record["pid"], record["ticks"]) or held.alive(record) else False
        return shown or (None if held.alive(record) else False)

    def revert(self, record: Record) -> None:
        """End the helper, and its session too if that still waits for the lock and so has not noticed."""
        held.end(record)
        if process.alive(record["pid"], record["ticks"]):
            with postgresql.session(record["dsn"]) as session:
                session.execute(_END, (record["name"],))


def _refuse_table(session: Connection, oid: int, name: str, *, where: str) -> None:
    if session.execute(_MAY_LOCK, (oid,)).fetchone() != (True,):
        raise UnavailableError(f"does not let this role lock {name}.", where=where)


def _refuse_rows(session: Connection, oid: int, name: str, *, where: str) -> None:
    about = session.execute(_MAY_LOCK_ROWS, (oid,)).fetchone()
    assert about is not None
    plain, may, reads = about
    reasons = {
        f"{name} is partitioned or inherited from, so its rows are in other tables; choose one of those.": not plain,
        f"does not let this role lock rows of {name}.": not may,
        "lets this role only read (default_transaction_read_only); name one that writes.": reads,
    }
    if why := next((reason for reason, holds in reasons.items() if holds), None):
        raise UnavailableError(why, where=where)


def main() -> None:
    """The helper: lock and hold."""
    from psycopg import sql

    lease, (reference, name, oid, schema, table, mode, rows, lease_s) = child.lease(sys.argv[1:])
    with postgresql.session(reference, name=name, autocommit=False) as session:
        silent_ms = str(int(float(lease_s) * 1000))
        session.execute("SELECT set_config('idle_in_transaction_session_timeout', %s, false)", (silent_ms,))
        parts = {"table": sql.Identifier(schema, table), "mode": sql.SQL(mode), "sampled": sampled(int(oid))}
        parts |= {"mark": sql.Literal(name), "rows": sql.Literal(int(rows or 0))}
        found = session.execute(sql.SQL(_ROWS if rows else _TABLE).format(**parts))
        if rows and not found.rowcount:
            raise UnavailableError(f"{table} has no row that nobody else has locked.")
        child.ready()
        while lease.wait(min(1.0, float(lease_s) / 3)):
            session.execute("SELECT 1")


if __name__ == "__main__":
    try:
        main()
    except UnavailableError as error:
        sys.exit(str(error))
