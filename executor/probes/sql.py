"""One statement to PostgreSQL in a session of its own. psycopg is loaded only when one is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from executor.errors import UnavailableError
from executor.model.data_check import SqlQuery
from executor.probes.answer import Outcome
from executor.servers import postgresql

if TYPE_CHECKING:
    import psycopg


async def ask(query: SqlQuery, *, writes: bool) -> Outcome:
    """Run it; the body has the first column's values, a line each. Bounded by the caller's time-out.

    The server's side of it is bounded by the same: what nobody waits for any more holds no session for long.
    """
    import psycopg

    try:
        dsn = postgresql.connection_string(query.dsn)
        opened = await psycopg.AsyncConnection.connect(dsn, application_name=postgresql.OURS, client_encoding="UTF8")
    except UnavailableError as error:
        return Outcome(False, None, str(error)[:200])
    except psycopg.OperationalError as error:
        return Outcome(False, None, postgresql.line(str(error))[:200])
    except psycopg.Error:  # its text may quote the connection string
        return Outcome(False, None, f"{query.dsn} holds no connection string that can be read")
    try:
        return Outcome(True, None, "", body=await _run(opened, query, writes=writes))
    except psycopg.Error as error:
        said = error.diag.message_primary or str(error)  # what it says besides quotes whole rows and the statement
        return Outcome(False, None, f"PostgreSQL says: {postgresql.line(said)}"[:200])
    finally:
        opened.pgconn.finish()  # at once: what was committed is, and a server that hangs is not waited for


async def _run(opened: psycopg.AsyncConnection[Any], query: SqlQuery, *, writes: bool) -> bytes:
    await opened.set_read_only(not writes)
    if opened.info.parameter_status("is_superuser") == "on":
        await opened.execute(postgresql.OWN_PATH)
    limit = "SELECT set_config('statement_timeout', %s, false), set_config('lock_timeout', %s, false)"
    await opened.execute(limit, (f"{query.timeout_ms:.0f}", f"{query.timeout_ms:.0f}"))
    async with opened.pipeline():  # in which a text may hold one statement only: a second could write where none may
        cursor = await opened.execute(query.query.encode())
    rows = await cursor.fetchall() if cursor.description else []
    await opened.commit()
    return "\n".join(str(row[0]) for row in rows if row).encode()
