"""Short sessions on a PostgreSQL server. psycopg is loaded only when one is opened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from executor import secrets
from executor.drivers import process
from executor.errors import UnavailableError

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


@contextmanager
def session(
    reference: str, *, database: str | None = None, name: str = OURS, autocommit: bool = True
) -> Iterator[psycopg.Connection]:
    """A session at the DSN behind ``reference``, which is revealed here and nowhere else; closed at the end.

    Statements end after 10 s, waits for a lock after 3 s. Raises ``UnavailableError`` for whatever goes wrong in it,
    in the server's words, which hold no secrets.
    """
    import psycopg

    dsn = secrets.reveal(reference)
    if "://" in dsn and dsn.partition("?")[0].count("@") > 1:  # else libpq takes the password for a host, and says it
        raise UnavailableError("has more than one @; in a password it is written %40.", where=reference)
    chosen: dict[str, Any] = _VANISHED | ({"dbname": database} if database else {})
    try:
        opened = psycopg.connect(
            dsn, connect_timeout=_CONNECT_S, application_name=name[:63], autocommit=autocommit, **chosen
        )
    except psycopg.OperationalError as error:
        raise UnavailableError(_line(str(error)), where=reference) from None
    except psycopg.Error:  # its text may quote the connection string
        raise UnavailableError("holds no connection string that can be read.", where=reference) from None
    try:
        for setting, value in (("statement_timeout", _STATEMENT), ("lock_timeout", _LOCK)):
            opened.execute("SELECT set_config(%s, %s, false)", (setting, value))
        yield opened
    except psycopg.Error as error:
        raise UnavailableError(f"PostgreSQL says: {_line(str(error))}", where=reference) from None
    finally:
        opened.close()


@contextmanager
def session_of(target: ProcessTarget) -> Iterator[psycopg.Connection]:
    """A session that surely is served by the target's process. Raises ``UnavailableError`` that says why not."""
    service = target.service
    if service.technology not in TECHNOLOGIES:
        raise UnavailableError("is not known to be PostgreSQL; say so (technology) in system.yaml.", where=service.name)
    if service.dsn is None:
        raise UnavailableError("has no dsn; name one in system.yaml, for instance env:SHOP_DSN.", where=service.name)
    with session(service.dsn) as opened:
        if not process.has_child(target.pid, opened.info.backend_pid):
            raise UnavailableError(
                f"leads to another server than process {target.pid}; nothing is done there.", where=service.dsn
            )
        process.require(target.pid, target.start_ticks)
        yield opened


@contextmanager
def maintenance(reference: str, *, but: str) -> Iterator[psycopg.Connection]:
    """A session in another database than ``but`` of the same server. Raises ``UnavailableError`` if none lets us in."""
    chosen = next(database for database in _MAINTENANCE if database != but)
    with session(reference, database=chosen) as opened:
        yield opened


def _line(text: str) -> str:
    return f"{' '.join(text.split()).rstrip('.')}."
