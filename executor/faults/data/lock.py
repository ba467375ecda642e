"""data.lock: a helper's transaction holds a lock on a table."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from executor.drivers.targets import ProcessTarget, Resolved
from executor.errors import UnavailableError
from executor.faults import held
from executor.faults.behaviour import Context, LeaseKind, Record
from executor.faults.looking import Looking
from executor.kernel import child, process
from executor.servers import postgresql

if TYPE_CHECKING:
    from executor.model.faults.data import Lock as Spec

_MAY_LOCK = "SELECT NOT pg_is_in_recovery() AND has_table_privilege(%s::oid, 'UPDATE, DELETE, TRUNCATE')"
_HOLDS = """
SELECT 1 FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE a.application_name = %s AND l.granted AND l.relation = %s::oid AND l.mode = %s"""
_END = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s AND usename = current_user"


class Lock(Looking, held.Held):
    """The lock dies with the helper's connection; the server ends the session itself if the helper falls silent.

    Waiting for the lock, which holds up others already, ends after 3 s.
    """

    kind = "data.lock"
    lease: LeaseKind = "parent_death"

    def prepare(self, fault: Spec, target: Resolved, context: Context) -> dict[str, Any]:
        """Record which table. Raises ``UnavailableError`` as ``unsupported`` says."""
        assert isinstance(target, ProcessTarget)
        return {**self.look(fault, target), "name": context.mark, **held.record(context)}

    def look(self, fault: Spec, target: ProcessTarget) -> dict[str, Any]:
        """A PostgreSQL that a dsn leads to, with such a table that we may lock."""
        with postgresql.session_of(target) as session:
            oid, schema, table = postgresql.table(session, fault.table, where=target.service.name)
            if session.execute(_MAY_LOCK, (oid,)).fetchone() != (True,):
                raise UnavailableError(f"does not let this role lock {fault.table}.", where=target.service.name)
        server = {"pid": target.pid, "ticks": target.start_ticks, "dsn": target.service.dsn}
        return {**server, "oid": oid, "schema": schema, "table": table, "mode": fault.mode}

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:
        """Start the helper; it is ready once it has the lock. Raises ``UnavailableError`` if it does not get it."""
        arguments = [*(record[part] for part in ("dsn", "name", "schema", "table", "mode")), str(lease_s)]
        return held.start("executor.faults.data.lock", arguments, record, lease_s, ready_s=20)

    def ended(self, record: Record) -> bool:
        """Whether the server is gone, and the helper's connection with it."""
        return not process.alive(record["pid"], record["ticks"])

    def active(self, record: Record) -> bool | None:
        """Whether the server shows our lock; a lock cannot outlive the server's process."""
        mode = f"{record['mode'].title().replace(' ', '')}Lock"
        try:
            with postgresql.session(record["dsn"]) as session:
                shown = session.execute(_HOLDS, (record["name"], record["oid"], mode)).fetchone() is not None
        except UnavailableError:
            return None if process.alive(record["pid"], record["ticks"]) or held.alive(record) else False
        return shown or (None if held.alive(record) else False)

    def revert(self, record: Record) -> None:
        """End the helper, and its session too if that still waits for the lock and so has not noticed."""
        held.end(record)
        if process.alive(record["pid"], record["ticks"]):
            with postgresql.session(record["dsn"]) as session:
                session.execute(_END, (record["name"],))


def main() -> None:
    """The helper: lock and hold."""
    from psycopg import sql

    lease, (reference, name, schema, table, mode, lease_s) = child.lease(sys.argv[1:])
    with postgresql.session(reference, name=name, autocommit=False) as session:
        silent_ms = str(int(float(lease_s) * 1000))
        session.execute("SELECT set_config('idle_in_transaction_session_timeout', %s, false)", (silent_ms,))
        session.execute(sql.SQL("LOCK TABLE {} IN {} MODE").format(sql.Identifier(schema, table), sql.SQL(mode)))
        child.ready()
        while lease.wait(min(1.0, float(lease_s) / 3)):
            session.execute("SELECT 1")


if __name__ == "__main__":
    try:
        main()
    except UnavailableError as error:
        sys.exit(str(error))
