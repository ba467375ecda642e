"""infrastructure.credentials: a role's password is changed or has expired, or the role may not log in any more."""

from __future__ import annotations

import logging
from types import ModuleType
from typing import TYPE_CHECKING, Any

from executor.drivers.targets import ProcessTarget, Resolved
from executor.errors import UnavailableError
from executor.faults.behaviour import Context, LeaseKind, Record
from executor.faults.infrastructure import credentials_postgresql, credentials_redis
from executor.faults.looking import Looking
from executor.kernel import process
from executor.servers import postgresql, redis_server

if TYPE_CHECKING:
    from executor.model.faults.infrastructure import Credentials as Spec

log = logging.getLogger(__name__)


class Credentials(Looking):
    """What was true of the role is kept in the server itself, under a role of ours that nobody can log in with.

    No password is known to Murphy, neither the one that was nor the one that is put in its place. What somebody else
    sets meanwhile is left as it is, and said in the log. How it is done in each server: ``credentials_*.py``.
    """

    kind = "infrastructure.credentials"
    lease: LeaseKind = "watchdog"

    def look(self, fault: Spec, target: ProcessTarget) -> dict[str, Any]:
        """A PostgreSQL or Redis with an administrator's dsn, and a role that is no administrator's."""
        service = target.service
        record: dict[str, Any] = {"technology": service.technology, "dsn": service.admin_dsn, "how": fault.how}
        record |= {"pid": target.pid, "ticks": target.start_ticks, "end": fault.sessions == "end"}
        return record | dict(_server(record).look(target, fault))

    def prepare(self, fault: Spec, target: Resolved, context: Context) -> dict[str, Any]:
        """Record which role. Raises ``UnavailableError`` as ``unsupported`` says."""
        assert isinstance(target, ProcessTarget)
        return self.look(fault, target) | {"name": context.mark}

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:  # noqa: ARG002 - the watchdog holds the lease
        """Keep what is true of the role and change it, in one stroke; then end its sessions, if asked to."""
        _server(record).change(record)
        return {"ended": _server(record).end_sessions(record) if record["end"] else 0}

    def active(self, record: Record) -> bool | None:
        """Whether the role is as we made it."""
        try:
            return bool(_server(record).changed(record))
        except UnavailableError:
            gone = not process.alive(record["pid"], record["ticks"])
            return False if gone and not _server(record).OUTLIVES_THE_SERVER else None

    def revert(self, record: Record) -> None:
        """Let the role be as it was. Raises ``UnavailableError`` if the server is not there."""
        server = _server(record)
        try:
            ours = server.restore(record)
        except UnavailableError:
            if server.OUTLIVES_THE_SERVER or process.alive(record["pid"], record["ticks"]):
                raise
            return
        if ours is False:
            log.warning("%s: somebody has set the role's credentials meanwhile; they are left so.", record["name"])


def _server(record: Record) -> ModuleType:
    for module, technologies in (
        (credentials_postgresql, postgresql.TECHNOLOGIES),
        (credentials_redis, redis_server.TECHNOLOGIES),
    ):
        if record["technology"] in technologies:
            return module
    raise UnavailableError(
        f"how {record['technology'] or 'it'} keeps credentials is not known here.",
        hint="Its technology in system.yaml can be postgresql or redis.",
    )
