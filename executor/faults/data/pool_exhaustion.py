"""data.pool_exhaustion: a helper holds idle sessions of the database, up to all that clients may have."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any

from executor.drivers.targets import ProcessTarget, Resolved
from executor.errors import UnavailableError
from executor.faults import held
from executor.faults.behaviour import Context, LeaseKind, Record
from executor.faults.looking import Looking
from executor.kernel import child
from executor.servers import postgresql

if TYPE_CHECKING:
    import psycopg

    from executor.model.faults.data import PoolExhaustion as Spec

_FILL_S = 5.0
"""After this long the fault counts as begun with what stands by then; the rest is tried further."""
_ENDS_SILENT_SESSIONS = 140_000
"""The version of PostgreSQL from which on it can end a session that says nothing."""
_ROOM = """
SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
  - coalesce(current_setting('reserved_connections', true), '0')::int
  - (SELECT count(*) FROM pg_stat_activity WHERE coalesce(backend_type, 'client backend') = 'client backend')
WHERE (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
  OR coalesce(pg_has_role(to_regrole('pg_use_reserved_connections'), 'USAGE'), false)"""
"""How many more may be taken by a role that the server would give the reserved ones too; no row for any other role."""


class PoolExhaustion(Looking, held.Held):
    """The reserved connections stay free, for those who administer the server.

    The sessions die with the helper; the server ends them itself if the helper falls silent.
    """

    kind = "data.pool_exhaustion"
    lease: LeaseKind = "parent_death"

    def look(self, fault: Spec, target: ProcessTarget) -> dict[str, Any]:
        """A PostgreSQL that a dsn leads to, new enough to end silent sessions."""
        with postgresql.session_of(target) as session:
            if session.info.server_version < _ENDS_SILENT_SESSIONS:
                raise UnavailableError("is older than PostgreSQL 14: none of ours would end it by itself.")
        return {"dsn": target.service.dsn, "sessions": fault.sessions}

    def prepare(self, fault: Spec, target: Resolved, context: Context) -> dict[str, Any]:
        """Record how many. Raises ``UnavailableError`` as ``unsupported`` says."""
        assert isinstance(target, ProcessTarget)
        return {**self.look(fault, target), "name": context.mark, **held.record(context)}

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:
        """Start the helper; it is ready once its sessions stand. Raises ``UnavailableError`` if it gets none."""
        arguments = [record["dsn"], record["name"], str(record["sessions"]), str(lease_s)]
        return held.start("executor.faults.data.pool_exhaustion", arguments, record, lease_s, ready_s=_FILL_S + 10)


class _Pool:
    """The sessions that the helper holds."""

    def __init__(self, stack: ExitStack, reference: str, name: str, silent_ms: int) -> None:
        self._stack, self._reference, self._name, self._silent_ms = stack, reference, name, silent_ms
        self._held: list[psycopg.Connection] = []

    def fill(self, count: int, lease: child.Lease) -> str:
        """Open sessions until there are ``count``, none is left or the time is up; says why, if it was refused."""
        import psycopg

        until = time.monotonic() + _FILL_S
        while len(self._held) < count and time.monotonic() < until and lease.wait(0):
            try:
                if self._held and (room := self._held[0].execute(_ROOM).fetchone()) and room[0] <= 0:
                    return ""
                session = self._stack.enter_context(postgresql.session(self._reference, name=self._name))
                self._held.append(session)
                session.execute("SELECT set_config('idle_session_timeout', %s, false)", (str(self._silent_ms),))
            except (UnavailableError, psycopg.Error) as error:  # none is left, which is what this fault is about
                return str(error)
        return ""

    def speak(self) -> int:
        """Say something on each, so that the server keeps it, and drop those that are gone; how many are left."""
        import psycopg

        for session in tuple(self._held):
            with suppress(psycopg.Error):
                session.execute("SELECT 1")
            if session.closed:
                self._held.remove(session)
        return len(self._held)


def main() -> None:
    """The helper: fill and hold."""
    lease, (reference, name, count, lease_s) = child.lease(sys.argv[1:])
    with ExitStack() as stack:
        pool = _Pool(stack, reference, name, int(float(lease_s) * 1000))
        why_not = pool.fill(int(count), lease)
        if not pool.speak():
            sys.exit(why_not or "the lease lapsed before a session stood")
        child.ready()
        while lease.wait(min(1.0, float(lease_s) / 3)):
            pool.speak()
            pool.fill(int(count), lease)


if __name__ == "__main__":
    main()
