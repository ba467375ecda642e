"""A role's credentials in PostgreSQL. What is kept and what is put stay in the server's own catalogue of roles.

Each step is one block that the server runs itself, so neither a password nor its verifier ever leaves it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from executor.drivers.targets import ProcessTarget
from executor.errors import UnavailableError
from executor.faults.behaviour import Record
from executor.servers import postgresql

if TYPE_CHECKING:
    import psycopg

    from executor.model.faults.infrastructure import Credentials as Spec

OUTLIVES_THE_SERVER = True
_ABOUT = """
SELECT r.oid::bigint, r.rolsuper, r.rolcanlogin, r.rolpassword IS NULL, coalesce(r.rolvaliduntil < now(), false),
  pg_is_in_recovery(),
  (SELECT k.rolname FROM pg_authid k WHERE k.rolname LIKE 'murphy-%%' AND NOT k.rolcanlogin AND
   shobj_description(k.oid, 'pg_authid') = encode(sha256(convert_to(r.rolpassword, 'UTF8')), 'hex') LIMIT 1)
FROM pg_authid r WHERE r.rolname = %s"""
_SETTINGS = """
SELECT set_config('murphy.oid', %s, true), set_config('murphy.kept', %s, true), set_config('murphy.how', %s, true),
  set_config('pg_stat_statements.track', 'none', true)"""
_SEEN = """
(CASE current_setting('murphy.how')
  WHEN 'rotate' THEN encode(sha256(convert_to(coalesce(r.rolpassword, ''), 'UTF8')), 'hex')
  WHEN 'revoke' THEN r.rolcanlogin::text
  ELSE coalesce(extract(epoch FROM r.rolvaliduntil)::text, '') END)"""
"""What can be seen of a role ``r`` that tells whether it is still as we made it."""
_PAIR = """
FROM pg_authid r, pg_authid k
WHERE r.oid = current_setting('murphy.oid')::oid AND k.rolname = current_setting('murphy.kept')"""
_CHANGE = """
DO $murphy$
DECLARE
  r pg_authid%ROWTYPE;
  kept text := current_setting('murphy.kept');
BEGIN
  SELECT * INTO STRICT r FROM pg_authid WHERE oid = current_setting('murphy.oid')::oid;
  EXECUTE format('CREATE ROLE %I NOLOGIN PASSWORD %L', kept, r.rolpassword);
  IF r.rolvaliduntil IS NOT NULL THEN
    EXECUTE format('ALTER ROLE %I VALID UNTIL %L', kept, r.rolvaliduntil);
  END IF;
  CASE current_setting('murphy.how')
    WHEN 'rotate' THEN
      EXECUTE format('ALTER ROLE %I PASSWORD %L', r.rolname, gen_random_uuid()::text || gen_random_uuid());
    WHEN 'revoke' THEN EXECUTE format('ALTER ROLE %I NOLOGIN', r.rolname);
    WHEN 'expire' THEN EXECUTE format('ALTER ROLE %I VALID UNTIL %L', r.rolname, now() - interval '1 day');
  END CASE;
  SELECT * INTO STRICT r FROM pg_authid WHERE oid = r.oid;
  EXECUTE format('COMMENT ON ROLE %I IS %L', kept, SEEN);
END $murphy$""".replace("SEEN", _SEEN)
_CHANGED = "SELECT shobj_description(k.oid, 'pg_authid') = SEEN PAIR".replace("SEEN", _SEEN).replace("PAIR", _PAIR)
# A role that has no end cannot be given none again by ALTER ROLE.
_RESTORE = """
DO $murphy$
DECLARE
  r pg_authid%ROWTYPE;
  k pg_authid%ROWTYPE;
BEGIN
  SELECT * INTO k FROM pg_authid WHERE rolname = current_setting('murphy.kept');
  SELECT * INTO r FROM pg_authid WHERE oid = current_setting('murphy.oid')::oid;
  IF shobj_description(k.oid, 'pg_authid') = SEEN THEN
    CASE current_setting('murphy.how')
      WHEN 'rotate' THEN EXECUTE format('ALTER ROLE %I PASSWORD %L', r.rolname, k.rolpassword);
      WHEN 'revoke' THEN EXECUTE format('ALTER ROLE %I LOGIN', r.rolname);
      WHEN 'expire' THEN UPDATE pg_authid SET rolvaliduntil = k.rolvaliduntil WHERE oid = r.oid;
    END CASE;
  END IF;
  EXECUTE format('DROP ROLE %I', k.rolname);
END $murphy$""".replace("SEEN", _SEEN)


def look(target: ProcessTarget, fault: Spec) -> dict[str, Any]:
    """What the record needs. Raises ``UnavailableError`` for a role that cannot be struck so, or not by this dsn."""
    service = target.service
    role = fault.role
    if role is None:
        with postgresql.session_of(target) as session:
            role = session.info.user
    with postgresql.session_of(target, administrator=True) as session:
        if session.info.parameter_status("is_superuser") != "on":
            raise UnavailableError(
                "is no superuser, and only one can put a password back.", where=service.admin_dsn or ""
            )
        found = session.execute(_ABOUT, (role,)).fetchone()
        if found is None:
            raise UnavailableError(f"has no role {role}.", where=service.name)
        oid, superuser, may_log_in, without, over, replica, ours = found
        reasons = {
            "is a replica, whose roles are its primary's.": replica,
            # Two changes undone in another order than made would leave the first one's password.
            f"{role} has a password of {ours} already; wait until that is undone, or undo it: murphy recover.": ours,
            f"{role} is an administrator's; choose the application's.": superuser,
            f"{role} cannot log in as it is.": not may_log_in or over,
            f"{role} has no password that could be changed or expire; choose revoke.": without
            and fault.how != "revoke",
        }
        if why := next((reason for reason, holds in reasons.items() if holds), None):
            raise UnavailableError(why, where=service.name)
    return {"oid": oid, "role": role}


def change(record: Record) -> None:
    """Keep what is true of the role, and change it, in one transaction."""
    with postgresql.session(record["dsn"], name=record["name"]) as session, session.transaction():
        _set(session, record)
        session.execute(_CHANGE)


def changed(record: Record) -> bool | None:
    """Whether the role is as we made it; ``None`` if nothing is kept of it."""
    with postgresql.session(record["dsn"]) as session:
        return _changed(session, record)


def end_sessions(record: Record) -> int:
    """End the role's sessions; how many."""
    with postgresql.session(record["dsn"]) as session:
        found = session.execute(
            "SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE usesysid = %s AND coalesce(application_name, '') NOT LIKE %s",
            (record["oid"], f"{postgresql.OURS}%"),
        )
        pids = [pid for pid, _ in found.fetchall()]
        postgresql.wait_ended(session, pids, where=record["dsn"])
    return len(pids)


def restore(record: Record) -> bool | None:
    """Put back what is kept. ``False``: somebody else has changed it meanwhile, so only ours was taken away."""
    with postgresql.session(record["dsn"]) as session:
        postgresql.end_named(session, record["name"], where=record["dsn"])
        if session.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (record["name"],)).fetchone() is None:
            return None
        ours = _changed(session, record)
        with session.transaction():
            _set(session, record)
            session.execute(_RESTORE)
    return bool(ours)


def _changed(session: psycopg.Connection, record: Record) -> bool | None:
    with session.transaction():
        _set(session, record)
        found = session.execute(_CHANGED).fetchone()
    return found[0] if found else None


def _set(session: psycopg.Connection, record: Record) -> None:
    session.execute(_SETTINGS, (str(record["oid"]), record["name"], record["how"]))
