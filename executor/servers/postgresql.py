"""Short sessions on a PostgreSQL server. psycopg is loaded only when one is opened."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from executor import secrets
from executor.errors import UnavailableError
from executor.kernel import process

if TYPE_CHECKING:
    import psycopg

    from executor.drivers.targets import ProcessTarget

TECHNOLOGIES = ("postgresql",)
OURS = "murphy"
"""What the application name of each session of ours begins with."""
_CONNECT_S = 3
_VANISHED = {"tcp_user_timeout": 10_000, "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3}
"""A server whose host vanishes is noticed after some ten seconds: milliseconds, seconds, seconds, probes."""
_STATEMENT = "10s"
_LOCK = "3s"
_MAINTENANCE = ("postgres", "template1")
_ENDS_WITHIN_S = 3.0
APPLICATIONS = """
FROM pg_stat_activity a JOIN pg_roles r ON r.rolname = a.usename
WHERE a.datname = %s AND a.pid <> pg_backend_pid() AND coalesce(a.application_name, '') NOT LIKE %s
  AND coalesce(a.backend_type, 'client backend') = 'client backend'
  AND (r.rolname = current_user OR NOT r.rolsuper)
  AND (pg_has_role(r.oid, 'USAGE') OR pg_has_role('pg_signal_backend', 'USAGE'))"""
"""Sessions of a database that may be ended: never Murphy's own or an administrator's. Takes its name and ``OURS%``."""
# Nothing in it is looked for where the role looks first: a function or an operator of somebody else's would run.
_NAMED = """
SELECT coalesce(pg_catalog.to_regclass(%s::pg_catalog.text), pg_catalog.to_regclass(%s::pg_catalog.text))
  ::pg_catalog.oid::pg_catalog.int8"""
_TABLE = """
SELECT c.oid::bigint, n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = %s AND c.relkind IN ('r', 'p')
  AND n.nspname NOT LIKE 'pg\\_%%' AND n.nspname <> 'information_schema'"""
OWN_PATH = "SET search_path TO pg_catalog, pg_temp"
"""So that what is not said to be elsewhere is the server's own."""

SAME_TEXT = """
SELECT set_config('timezone', 'UTC', false), set_config('datestyle', 'ISO', false),
  set_config('intervalstyle', 'postgres', false), set_config('bytea_output', 'hex', false),
  set_config('extra_float_digits', '1', false), set_config('lc_monetary', 'C', false)"""
"""So that a row reads the same in whoever's session it is read."""


def connection_string(reference: str) -> str:
    """The DSN behind ``reference``. Raises ``UnavailableError`` if it is not there, or its password would be said."""
    dsn = secrets.reveal(reference)
    if "://" in dsn and dsn.partition("?")[0].count("@") > 1:  # else libpq takes the password for a host, and says it
        raise UnavailableError("has more than one @; in a password it is written %40.", where=reference)
    return dsn


@contextmanager
def session(
    reference: str, *, database: str | None = None, name: str = OURS, autocommit: bool = True
) -> Iterator[psycopg.Connection]:
    """A session at the DSN behind ``reference``, which is revealed here and nowhere else; closed at the end.

    Statements end after 10 s, waits for a lock after 3 s. A superuser's finds the server's own functions and operators
    only: where else it would look another role may have put some, which would run with its rights. Names come in UTF-8,
    also where the database does not say how its texts are encoded (SQL_ASCII).

    Raises ``UnavailableError`` for whatever goes wrong in it, in the server's words, which hold no secrets.
    """
    import psycopg

    dsn = connection_string(reference)
    chosen: dict[str, Any] = _VANISHED | ({"dbname": database} if database else {}) | {"client_encoding": "UTF8"}
    try:
        opened = psycopg.connect(
            dsn, connect_timeout=_CONNECT_S, application_name=name[:63], autocommit=autocommit, **chosen
        )
    except psycopg.OperationalError as error:
        raise UnavailableError(line(str(error)), where=reference) from None
    except psycopg.Error:  # its text may quote the connection string
        raise UnavailableError("holds no connection string that can be read.", where=reference) from None
    try:
        if opened.info.parameter_status("is_superuser") == "on":
            opened.execute(OWN_PATH)
        for setting, value in (("statement_timeout", _STATEMENT), ("lock_timeout", _LOCK)):
            opened.execute("SELECT set_config(%s, %s, false)", (setting, value))
        yield opened
    except psycopg.Error as error:
        raise UnavailableError(f"PostgreSQL says: {line(str(error))}", where=reference) from None
    finally:
        opened.close()


@contextmanager
def session_of(target: ProcessTarget, *, administrator: bool = False) -> Iterator[psycopg.Connection]:
    """A session that surely is served by the target's process. Raises ``UnavailableError`` that says why not.

    At the service's dsn, or at its admin_dsn for an ``administrator``.
    """
    service = target.service
    reference = service.admin_dsn if administrator else service.dsn
    if service.technology not in TECHNOLOGIES:
        raise UnavailableError("is not known to be PostgreSQL; say so (technology) in system.yaml.", where=service.name)
    if reference is None:
        field = "admin_dsn" if administrator else "dsn"
        raise UnavailableError(
            f"has no {field}; name one in system.yaml, for instance env:SHOP_{field.upper()}.", where=service.name
        )
    with session(reference) as opened:
        if not process.has_child(target.pid, opened.info.backend_pid):
            raise UnavailableError(
                f"leads to another server than process {target.pid}; nothing is done there.", where=reference
            )
        process.require(target.pid, target.start_ticks)
        yield opened


@contextmanager
def maintenance(reference: str, *, but: str) -> Iterator[psycopg.Connection]:
    """A session in another database than ``but`` of the same server. Raises ``UnavailableError`` if none lets us in."""
    chosen = next(database for database in _MAINTENANCE if database != but)
    with session(reference, database=chosen) as opened:
        yield opened


def table(session: psycopg.Connection, name: str, *, where: str) -> tuple[int, str, str]:
    """A table's oid, schema and name. Raises ``UnavailableError`` if there is none that is an application's.

    The one that is called just so, or else the one that SQL takes the name for, which it reads as small letters; in the
    schemas where the role looks.
    """
    quoted = ".".join(f'"{part}"' for part in name.split("."))
    (oid,) = _as_the_role_looks(session, _NAMED, (quoted, name))
    found = session.execute(_TABLE, (oid,)).fetchone()
    if found is None:
        raise UnavailableError(f"has no table {name} of its own.", where=where)
    oid, schema, table = found
    return oid, schema, table


def schemas(session: psycopg.Connection) -> list[str]:
    """Where the role looks for what is named without a schema: those that are there, in order."""
    (found,) = _as_the_role_looks(session, "SELECT pg_catalog.current_schemas(false)")
    return list(found)


def _as_the_role_looks(session: psycopg.Connection, query: str, values: tuple[str, ...] = ()) -> tuple[Any, ...]:
    with session.transaction():
        session.execute("SET LOCAL search_path TO DEFAULT")
        found = session.execute(query, values).fetchone()
    assert found is not None
    return found


def cluster(session: psycopg.Connection) -> str:
    """Unique to a server's data; its copies and its standbys have the same."""
    found = session.execute("SELECT system_identifier::text FROM pg_control_system()").fetchone()
    assert found is not None
    return str(found[0])


def wait_ended(session: psycopg.Connection, pids: list[int], *, where: str) -> None:
    """See the server's processes end that were told to. Raises ``UnavailableError`` if they do not within 3 s."""
    until = time.monotonic() + _ENDS_WITHIN_S
    while session.execute("SELECT 1 FROM pg_stat_activity WHERE pid = ANY(%s)", (pids,)).fetchone():
        if time.monotonic() > until:
            raise UnavailableError("sessions did not end when told to.", where=where)
        time.sleep(0.02)


def end_named(session: psycopg.Connection, name: str, *, where: str) -> None:
    """End this role's sessions with that application name: what they have begun and not committed is undone.

    Raises ``UnavailableError`` if they do not end.
    """
    found = session.execute(
        "SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = %s AND usename = current_user AND pid <> pg_backend_pid()",
        (name[:63],),
    )
    wait_ended(session, [pid for pid, _ in found.fetchall()], where=where)


def line(text: str) -> str:
    """What the server says as one sentence."""
    return f"{' '.join(text.split()).rstrip('.')}."
