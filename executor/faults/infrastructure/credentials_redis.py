"""A user's credentials in Redis. Hashes of the passwords are kept by a user of ours that is switched off."""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING, Any

from executor.drivers.targets import ProcessTarget
from executor.errors import UnavailableError
from executor.faults.behaviour import Record
from executor.servers import redis_server

if TYPE_CHECKING:
    from executor.model.faults.infrastructure import Credentials as Spec

OUTLIVES_THE_SERVER = False
"""Users live in the server's memory; what was there at its start, or was saved since, comes back with a restart."""


def look(target: ProcessTarget, fault: Spec) -> dict[str, Any]:
    """What the record needs. Raises ``UnavailableError`` for a user that cannot be struck so, or not by this dsn."""
    service = target.service
    if fault.how == "expire":
        raise UnavailableError("passwords of Redis do not expire; choose rotate or revoke.", where=service.name)
    role = fault.role
    if role is None:
        with redis_server.session_of(target) as client:
            role = redis_server.text(client.acl_whoami())
    with redis_server.session_of(target, administrator=True) as client:
        if redis_server.text(client.acl_whoami()) == role:
            raise UnavailableError(f"logs in as {role} itself, and could not undo it.", where=service.admin_dsn or "")
        user = client.acl_getuser(role)
        if user is None or "on" not in user["flags"]:
            raise UnavailableError(f"has no user {role} that can log in.", where=service.name)
        # Two changes undone in another order than made would leave the first one's password.
        known = (redis_server.text(line).split() for line in client.acl_list())
        if ours := next(
            (name for _, name, *words in known if name.startswith("murphy-") and f"~{role}" in words), None
        ):
            hint = "Wait until that is undone, or undo it: murphy recover."
            raise UnavailableError(f"{role} has been changed by {ours} already.", where=service.name, hint=hint)
    # Of a password that nobody has ever seen.
    return {"role": role, "put": hashlib.sha256(secrets.token_bytes(32)).hexdigest()}


def change(record: Record) -> None:
    """Keep the user's passwords and change them or switch it off, in one transaction."""
    with redis_server.session(record["dsn"]) as client:
        user = client.acl_getuser(record["role"])
        if user is None:
            raise UnavailableError(f"has no user {record['role']} any more.", where=record["dsn"])
        pipe = client.pipeline(transaction=True)
        # Whose they are is kept as the only key that ours could reach, if it could log in.
        kept = ("reset", "off", f"~{record['role']}", *_passwords(user))
        pipe.execute_command("ACL", "SETUSER", record["name"], *kept)
        how = ["off"] if record["how"] == "revoke" else ["resetpass", f"#{record['put']}"]
        pipe.execute_command("ACL", "SETUSER", record["role"], *how)
        pipe.execute()


def changed(record: Record) -> bool | None:
    """Whether the user is as we made it; ``None`` if nothing is kept of it."""
    with redis_server.session(record["dsn"]) as client:
        return _changed(client, record)


def end_sessions(record: Record) -> int:
    """End the user's sessions; how many."""
    with redis_server.session(record["dsn"]) as client:
        about = ("USER", record["role"], "SKIPME", "yes")
        return sum(client.execute_command("CLIENT", "KILL", "TYPE", kind, *about) for kind in ("normal", "pubsub"))


def restore(record: Record) -> bool | None:
    """Put back what is kept. ``False``: somebody else has changed it meanwhile, so only ours was taken away."""
    with redis_server.session(record["dsn"]) as client:
        ours = _changed(client, record)
        if ours:
            kept = client.acl_getuser(record["name"])
            how = ["on"] if record["how"] == "revoke" else ["resetpass", *_passwords(kept)]
            client.execute_command("ACL", "SETUSER", record["role"], *how)
        client.execute_command("ACL", "DELUSER", record["name"])
    return ours


def _changed(client: Any, record: Record) -> bool | None:
    if client.acl_getuser(record["name"]) is None:
        return None
    user = client.acl_getuser(record["role"])
    if user is None:
        return False
    if record["how"] == "revoke":
        return "off" in user["flags"]
    return [redis_server.text(each) for each in user["passwords"]] == [record["put"]]


def _passwords(user: Any) -> list[str]:
    """What gives a user these passwords again."""
    return ["nopass"] if "nopass" in user["flags"] else [f"#{redis_server.text(each)}" for each in user["passwords"]]
