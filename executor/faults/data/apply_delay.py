"""How a standby of PostgreSQL is kept behind: its ``recovery_min_apply_delay``, set by ALTER SYSTEM.

That writes the standby's own postgresql.auto.conf. What stood there is recorded, as it was written, and put back; where
nothing stood, nothing stands again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from executor.drivers.targets import ProcessTarget
from executor.errors import UnavailableError
from executor.faults.behaviour import Record
from executor.faults.data import standby
from executor.model.wording import duration
from executor.servers import postgresql

if TYPE_CHECKING:
    import psycopg

    from executor.model.faults.data import Inconsistency as Spec

OUTLIVES_THE_SERVER = True
"""The setting is in a file, so it is owed even when the server is down."""
tells = standby.tells
_TAKES_S: Final = 3.0
_SETTING: Final = "recovery_min_apply_delay"
_ABOUT = """
SELECT current_setting('is_superuser') = 'on', coalesce(current_setting('allow_alter_system', true), 'on') = 'off',
  source = 'command line', setting::bigint FROM pg_settings WHERE name = %s"""
_FILES = """
SELECT bool_or(f.error IS NOT NULL AND s.name IS NULL),
  bool_or((pg_stat_file(f.sourcefile)).modification > pg_conf_load_time()
    OR f.applied AND s.source IN ('default', 'configuration file')
       AND (s.sourcefile, s.sourceline) IS DISTINCT FROM (f.sourcefile, f.sourceline))
FROM pg_file_settings f LEFT JOIN pg_settings s ON lower(s.name) = lower(f.name)"""
"""A syntax error or an unknown name keeps the whole from being read; a known one's own error does not.

That a file has changed since it was read is told by where each setting stands, and by its time: of whole seconds.
"""
_WRITTEN = """
SELECT setting FROM pg_file_settings
WHERE name = %s AND sourcefile = current_setting('data_directory') || '/postgresql.auto.conf'
ORDER BY seqno DESC LIMIT 1"""
_IN_FORCE = "SELECT setting::bigint FROM pg_settings WHERE name = %s"
_DIRECTORY = "SELECT current_setting('data_directory')"


def look(fault: Spec, target: ProcessTarget) -> dict[str, Any]:
    """A standby whose setting an administrator's dsn can change, and that is less behind on purpose than is asked.

    All settings are read anew when one is changed: where others wait for that, nothing is done.
    """
    assert fault.lag_s is not None
    where, asked = target.service.name, round(fault.lag_s * 1000)
    administrator = target.service.admin_dsn is not None
    with postgresql.session_of(target, administrator=administrator) as session:
        standby.require(session, where=where)
        superuser, fixed, commanded, now = session.execute(_ABOUT, (_SETTING,)).fetchone() or (False, False, False, 0)
        if not superuser:
            hint = "Name the dsn of one as admin_dsn in system.yaml."
            raise UnavailableError("only a superuser can have a replica stay behind.", where=where, hint=hint)
        broken, waiting = session.execute(_FILES).fetchone() or (False, False)
        reasons = {
            "does not let its settings be changed (allow_alter_system).": fixed,
            f"has {_SETTING} on its command line, which nothing overrides.": commanded,
            f"is kept {duration(now / 1000)} behind already; ask for more.": now >= asked,
            "has a file of settings that it cannot read; see pg_file_settings.": broken,
            "has files of settings that were changed and not read since; reload it first.": waiting,
        }
        if why := next((reason for reason, holds in reasons.items() if holds), None):
            raise UnavailableError(why, where=where)
        was, cluster = _written(session), _server(session)
    dsn = target.service.admin_dsn if administrator else target.service.dsn
    return {"dsn": dsn, "cluster": cluster, "was": was, "put": f"{asked}ms", "ms": asked}


def make(record: Record) -> dict[str, Any]:
    """Change it, and have it read. Raises ``UnavailableError`` if somebody has changed it meanwhile."""
    with _session(record, name=record["name"]) as session:
        if _written(session) != record["was"]:
            raise UnavailableError(f"{_SETTING} has been changed meanwhile.", where=record["dsn"])
        _write(session, record["put"])
        session.execute("SELECT pg_reload_conf()")
    return {}


def shows(record: Record) -> bool:
    """Whether the server is a standby and goes by our delay."""
    with postgresql.session(record["dsn"]) as session:
        return bool(standby.paused(session) is not None and _in_force(session) == record["ms"])


def undo(record: Record) -> None:
    """Put back what was written, unless somebody has written something else, and see that the server goes by it.

    Raises ``UnavailableError`` if the server is not there, is another one, or does not take it.
    """
    with _session(record) as session:
        postgresql.end_named(session, record["name"], where=record["dsn"])  # or it might still be written
        if _written(session) == record["put"]:
            _write(session, record["was"])
        if _in_force(session) != record["ms"]:
            return
        session.execute("SELECT pg_reload_conf()")
    _wait_read(record)


def _wait_read(record: Record) -> None:
    """By sessions of their own, which go by what the server has read."""
    until = time.monotonic() + _TAKES_S
    while shows(record):
        if time.monotonic() > until:
            raise UnavailableError(f"{_SETTING} is put back and the server does not go by it.", where=record["dsn"])
        time.sleep(0.02)


@contextmanager
def _session(record: Record, *, name: str = postgresql.OURS) -> Iterator[psycopg.Connection]:
    """With the very server of the record. Raises ``UnavailableError`` if the dsn leads to another one by now."""
    with postgresql.session(record["dsn"], name=name) as session:
        if _server(session) != record["cluster"]:
            raise UnavailableError("leads to another server than then.", where=record["dsn"])
        yield session


def _written(session: psycopg.Connection) -> str | None:
    """What stands in postgresql.auto.conf, as it is written; ``None`` if nothing does."""
    found = session.execute(_WRITTEN, (_SETTING,)).fetchone()
    return found[0] if found else None


def _write(session: psycopg.Connection, value: str | None) -> None:
    from psycopg import sql

    name = sql.Identifier(_SETTING)
    if value is None:
        session.execute(sql.SQL("ALTER SYSTEM RESET {}").format(name))
    else:
        session.execute(sql.SQL("ALTER SYSTEM SET {} = {}").format(name, sql.Literal(value)))


def _in_force(session: psycopg.Connection) -> int | None:
    found = session.execute(_IN_FORCE, (_SETTING,)).fetchone()
    return found[0] if found else None


def _server(session: psycopg.Connection) -> str:
    """A standby has its primary's identifier, in a directory of its own."""
    found = session.execute(_DIRECTORY).fetchone()
    assert found is not None
    return f"{postgresql.cluster(session)} {found[0]}"
