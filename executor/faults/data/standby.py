"""A standby of PostgreSQL: whether a server is one, and how far it is behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from executor.errors import UnavailableError
from executor.faults.behaviour import Record
from executor.model.wording import duration
from executor.servers import postgresql

if TYPE_CHECKING:
    import psycopg

_PAUSED = "SELECT CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused() END"
_BEHIND = """
SELECT pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())::bigint,
  extract(epoch FROM now() - pg_last_xact_replay_timestamp())::float8"""


def require(session: psycopg.Connection, *, where: str) -> None:
    """Raise ``UnavailableError`` unless it is a standby that applies what it receives."""
    found = paused(session)
    if found is None:
        raise UnavailableError("is no replica; choose the service whose dsn leads to one.", where=where)
    if found:
        raise UnavailableError("its replay is paused by somebody already; resume it first.", where=where)


def paused(session: psycopg.Connection) -> bool | None:
    """Whether the replay is paused, or asked to be; ``None`` for a server that is no replica."""
    found = session.execute(_PAUSED).fetchone()
    return found[0] if found else None


def tells(record: Record) -> str:
    """How far behind it is by now."""
    with postgresql.session(record["dsn"]) as session:
        waiting, seconds = session.execute(_BEHIND).fetchone() or (None, None)
    if not waiting or seconds is None:
        return "the replica has received nothing that it would have applied"
    return f"the replica is {duration(seconds)} behind: {waiting:,} bytes are received and not applied"
