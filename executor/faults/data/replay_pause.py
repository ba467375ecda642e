"""How a standby of PostgreSQL is made to stand still: it goes on receiving, and applies nothing of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from executor.drivers.targets import ProcessTarget
from executor.errors import UnavailableError
from executor.faults.behaviour import Record
from executor.faults.data import standby
from executor.servers import postgresql

if TYPE_CHECKING:
    from executor.model.faults.data import Inconsistency as Spec

OUTLIVES_THE_SERVER = False
"""The pause is the replica's own, and ends with its process or when it becomes the primary."""
tells = standby.tells
_MAY = """
SELECT has_function_privilege('pg_wal_replay_pause()', 'EXECUTE')
  AND has_function_privilege('pg_wal_replay_resume()', 'EXECUTE')"""


def look(fault: Spec, target: ProcessTarget) -> dict[str, Any]:  # noqa: ARG001 - as the other ways have it
    """A replica that a dsn leads to, whose replay this role may pause and nobody has paused."""
    where = target.service.name
    with postgresql.session_of(target) as session:
        standby.require(session, where=where)
        if session.execute(_MAY).fetchone() != (True,):
            hint = "GRANT EXECUTE ON FUNCTION pg_wal_replay_pause(), pg_wal_replay_resume() TO it."
            raise UnavailableError("does not let this role pause the replay.", where=where, hint=hint)
    return {"dsn": target.service.dsn}


def make(record: Record) -> dict[str, Any]:
    """Pause; what is being applied is finished first."""
    with postgresql.session(record["dsn"]) as session:
        session.execute("SELECT pg_wal_replay_pause()")
    return {}


def shows(record: Record) -> bool:
    """Whether the replica stands still."""
    with postgresql.session(record["dsn"]) as session:
        return bool(standby.paused(session))


def undo(record: Record) -> None:
    """Resume; a replica that is the primary now has forgotten the pause."""
    with postgresql.session(record["dsn"]) as session:
        if standby.paused(session):
            session.execute("SELECT pg_wal_replay_resume()")
