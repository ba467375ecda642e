"""How a PostgreSQL database is made to refuse clients: its own flag ALLOW_CONNECTIONS, set from another database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from executor.drivers.targets import ProcessTarget
from executor.errors import UnavailableError
from executor.faults.behaviour import Context, Record
from executor.servers import postgresql

if TYPE_CHECKING:
    import psycopg

OUTLIVES_THE_SERVER = True
"""The flag is in the catalogue, so it is owed even when the server is down."""
_ALLOWS = "SELECT datallowconn FROM pg_database WHERE datname = %s"
_NOW = "SELECT datname FROM pg_database WHERE oid = %s"
_OID = "SELECT oid::bigint FROM pg_database WHERE datname = %s"
_OWNS = "SELECT pg_has_role(datdba, 'USAGE') FROM pg_database WHERE datname = %s"


def look(target: ProcessTarget, *, refuse: bool) -> dict[str, Any]:
    """What the record needs of the server. Raises ``UnavailableError`` if clients cannot be refused, or are already."""
    with postgresql.session_of(target) as session:
        database, cluster = session.info.dbname, postgresql.cluster(session)
    assert target.service.dsn is not None  # else there was no session
    with postgresql.maintenance(target.service.dsn, but=database) as session:
        if postgresql.cluster(session) != cluster or _one(session, _ALLOWS, database) is not True:
            raise UnavailableError(f"its database {database} refuses clients already.", where=target.service.name)
        if refuse and _one(session, _OWNS, database) is not True:
            raise UnavailableError(f"only the owner of {database} can make it refuse.", where=target.service.name)
        oid = _one(session, _OID, database)
    return {"database": database, "oid": oid, "cluster": cluster}


def prepare(_context: Context) -> dict[str, Any]:
    """Nothing more is needed."""
    return {}


def refuse(record: Record) -> None:
    """Let no new client in, superusers included."""
    _allow(record, allowed=False)


def admit(record: Record) -> None:
    """Let clients in again. Does nothing if the database is no more."""
    _allow(record, allowed=True)


def refuses(record: Record) -> bool:
    """Whether no new client is let in. Raises ``UnavailableError`` if the dsn leads to another server by now."""
    with postgresql.maintenance(record["dsn"], but=record["database"]) as session:
        _same(session, record)
        return _one(session, _ALLOWS, _called(session, record)) is False


def terminate(record: Record) -> int:
    """End the clients' sessions and see them go; returns how many."""
    about = (record["database"], f"{postgresql.OURS}%")
    with postgresql.maintenance(record["dsn"], but=record["database"]) as session:
        found = session.execute(
            f"SELECT a.pid, pg_terminate_backend(a.pid) {postgresql.APPLICATIONS}", about
        ).fetchall()
        pids = [pid for pid, _ in found]
        postgresql.wait_ended(session, pids, where=record["dsn"])
    return len(pids)


def tidy(_record: Record) -> None:
    """Nothing else was made."""


def _allow(record: Record, *, allowed: bool) -> None:
    from psycopg import sql

    with postgresql.maintenance(record["dsn"], but=record["database"]) as session:
        _same(session, record)
        name = _called(session, record)
        if _one(session, _ALLOWS, name) is (not allowed):
            command = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
            session.execute(command.format(sql.Identifier(name), sql.SQL("true" if allowed else "false")))


def _called(session: psycopg.Connection, record: Record) -> str:
    """What it is called now: while nobody is let in it is easily renamed. Empty if it is no more."""
    return _one(session, _NOW, record["oid"]) or "" if "oid" in record else record["database"]


def _same(session: psycopg.Connection, record: Record) -> None:
    if postgresql.cluster(session) != record["cluster"]:
        raise UnavailableError("leads to another server than then.", where=record["dsn"])


def _one(session: psycopg.Connection, query: str, value: Any) -> Any:
    found = session.execute(query, (value,)).fetchone()
    return found[0] if found else None
