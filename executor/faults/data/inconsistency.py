"""data.inconsistency: a PostgreSQL replica goes on receiving, and applies nothing of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from executor.drivers.targets import ProcessTarget, Resolved
from executor.errors import UnavailableError
from executor.faults.behaviour import Context, LeaseKind, Record
from executor.faults.looking import Looking
from executor.kernel import process
from executor.model.wording import duration
from executor.servers import postgresql

if TYPE_CHECKING:
    import psycopg

    from executor.model.faults.data import Inconsistency as Spec

_MAY = """
SELECT has_function_privilege('pg_wal_replay_pause()', 'EXECUTE')
  AND has_function_privilege('pg_wal_replay_resume()', 'EXECUTE')"""
_PAUSED = "SELECT CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused() END"
_BEHIND = """
SELECT pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())::bigint,
  extract(epoch FROM now() - pg_last_xact_replay_timestamp())::float8"""


class Inconsistency(Looking):
    """The pause is the replica's own, and ends with its process or when it becomes the primary."""

    kind = "data.inconsistency"
    lease: LeaseKind = "watchdog"

    def look(self, fault: Spec, target: ProcessTarget) -> dict[str, Any]:  # noqa: ARG002 - it has no parameters
        """A replica that a dsn leads to, whose replay this role may pause and nobody has paused."""
        where = target.service.name
        with postgresql.session_of(target) as session:
            paused = _paused(session)
            if paused is None:
                raise UnavailableError("is no replica; choose the service whose dsn leads to one.", where=where)
            if paused:
                raise UnavailableError("its replay is paused by somebody already; resume it first.", where=where)
            if session.execute(_MAY).fetchone() != (True,):
                hint = "GRANT EXECUTE ON FUNCTION pg_wal_replay_pause(), pg_wal_replay_resume() TO it."
                raise UnavailableError("does not let this role pause the replay.", where=where, hint=hint)
        return {"dsn": target.service.dsn, "pid": target.pid, "ticks": target.start_ticks}

    def prepare(self, fault: Spec, target: Resolved, context: Context) -> dict[str, Any]:  # noqa: ARG002 - by process
        """Record which replica. Raises ``UnavailableError`` as ``unsupported`` says."""
        assert isinstance(target, ProcessTarget)
        return self.look(fault, target)

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:  # noqa: ARG002 - the watchdog holds the lease
        """Pause; what is being applied is finished first."""
        with postgresql.session(record["dsn"]) as session:
            session.execute("SELECT pg_wal_replay_pause()")
        return {}

    def tells(self, record: Record) -> str:
        """How far behind the replica is by now."""
        with postgresql.session(record["dsn"]) as session:
            waiting, seconds = session.execute(_BEHIND).fetchone() or (None, None)
        if not waiting or seconds is None:
            return "the replica has received nothing that it would have applied"
        return f"the replica is {duration(seconds)} behind: {waiting:,} bytes are received and not applied"

    def active(self, record: Record) -> bool | None:
        """Whether the replica stands still."""
        try:
            with postgresql.session(record["dsn"]) as session:
                return bool(_paused(session))
        except UnavailableError:
            return None if process.alive(record["pid"], record["ticks"]) else False

    def revert(self, record: Record) -> None:
        """Resume; a replica that was ended meanwhile or is the primary now has forgotten the pause."""
        if not process.alive(record["pid"], record["ticks"]):
            return
        with postgresql.session(record["dsn"]) as session:
            if _paused(session):
                session.execute("SELECT pg_wal_replay_resume()")


def _paused(session: psycopg.Connection) -> bool | None:
    """Whether the replay is paused, or asked to be; ``None`` for a server that is no replica."""
    found = session.execute(_PAUSED).fetchone()
    return found[0] if found else None
