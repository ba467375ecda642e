"""How Redis is made to refuse clients: the dsn's user is switched off, and a user of ours is made who can undo that.

Not ``maxclients``: with one slot left an application that holds it would keep everybody out who could give it back.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path
from typing import Any

from executor.drivers.targets import ProcessTarget
from executor.errors import UnavailableError
from executor.faults.behaviour import Context, Record
from executor.kernel import process
from executor.servers import redis_server

OUTLIVES_THE_SERVER = False
"""Users live in the server's memory; what was there at its start, or was saved since, comes back with a restart."""


def look(target: ProcessTarget, *, refuse: bool) -> dict[str, Any]:
    """What the record needs of the server. Raises ``UnavailableError`` if clients cannot be refused there."""
    with redis_server.session_of(target) as client:
        user = redis_server.text(client.acl_whoami())
        if not refuse:
            return {"user": user}
        if client.info("replication").get("connected_slaves"):
            raise UnavailableError("has replicas, which would be shut out too.", where=target.service.name)
        client.acl_getuser(user)  # raises if this user may not change users
        return {"user": user}


def prepare(context: Context) -> dict[str, Any]:
    """Name our user, and write its password to a file of mode 0600."""
    file = Path(context.scratch) / f"{context.mark}.password"
    descriptor = os.open(file, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as stream:
        stream.write(secrets.token_hex(32))
        stream.flush()
        os.fsync(stream.fileno())
    return {"name": context.mark, "password": str(file)}


def refuse(record: Record) -> None:
    """Switch the user off, once ours is there and has been seen to work."""
    login = _login(record)
    known = hashlib.sha256(login[1].encode()).hexdigest()
    with redis_server.session(record["dsn"]) as client:
        client.execute_command("ACL", "SETUSER", record["name"], "reset", "on", f"#{known}", "+acl", "+client", "+ping")
        with redis_server.session(record["dsn"], login):
            client.execute_command("ACL", "SETUSER", record["user"], "off")


def admit(record: Record) -> None:
    """Switch the user on again."""
    with redis_server.session(record["dsn"], _login(record)) as client:
        client.execute_command("ACL", "SETUSER", record["user"], "on")


def refuses(record: Record) -> bool:
    """Whether the user is not let in."""
    try:
        with redis_server.session(record["dsn"]):
            return False
    except redis_server.RefusedError:
        return True


def terminate(record: Record) -> int:
    """End the clients' sessions, this one aside; returns how many."""
    about = ("USER", record["user"], "SKIPME", "yes")
    with redis_server.session(record["dsn"], _login(record) if record["refuse"] else None) as client:
        return sum(client.execute_command("CLIENT", "KILL", "TYPE", kind, *about) for kind in ("normal", "pubsub"))


def tidy(record: Record) -> None:
    """Take our user away. A server that is gone has lost it, unless somebody had it write its users down meanwhile."""
    if record["refuse"]:
        try:
            with redis_server.session(record["dsn"]) as client:
                client.execute_command("ACL", "DELUSER", record["name"])
        except UnavailableError:
            if process.alive(record["pid"], record["ticks"]):
                raise
    Path(record["password"]).unlink(missing_ok=True)


def _login(record: Record) -> tuple[str, str]:
    try:
        return record["name"], Path(record["password"]).read_text(encoding="ascii")
    except OSError:
        raise UnavailableError(
            "the password of Murphy's own user is lost.", where=record["password"], hint="Restart Redis."
        ) from None
