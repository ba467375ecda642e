"""data.connection_failure: the database ends its clients' sessions, refuses new ones, or both."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

from executor.drivers.targets import ProcessTarget, Resolved
from executor.errors import UnavailableError
from executor.faults.behaviour import Context, LeaseKind, Record
from executor.faults.data import refuse_postgresql, refuse_redis
from executor.faults.looking import Looking
from executor.kernel import process
from executor.servers import postgresql, redis_server

if TYPE_CHECKING:
    from executor.model.faults.data import ConnectionFailure as Spec


class ConnectionFailure(Looking):
    """Ends the application's sessions, never Murphy's own or an administrator's, and keeps new clients out.

    The dsn's role is taken to be the application's. How a server refuses, and how that is undone: ``refuse_*.py``.
    """

    kind = "data.connection_failure"
    lease: LeaseKind = "watchdog"

    def prepare(self, fault: Spec, target: Resolved, context: Context) -> dict[str, Any]:
        """Record how the database lets clients in now. Raises ``UnavailableError`` as ``unsupported`` says."""
        assert isinstance(target, ProcessTarget)
        record = self.look(fault, target)
        return record | dict(_server(record).prepare(context))

    def look(self, fault: Spec, target: ProcessTarget) -> dict[str, Any]:
        """A PostgreSQL or Redis that a dsn leads to, with the rights to do it and to undo it."""
        assert isinstance(target, ProcessTarget)
        record = {
            "technology": target.service.technology,
            "dsn": target.service.dsn,
            "pid": target.pid,
            "ticks": target.start_ticks,
            "terminate": fault.how != "refuse_new",
            "refuse": fault.how != "terminate",
        }
        return record | dict(_server(record).look(target, refuse=fault.how != "terminate"))

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:  # noqa: ARG002 - the watchdog holds the lease
        """Refuse first, so that nobody comes back, then end sessions; returns how many were ended.

        Raises ``UnavailableError`` if sessions were to be ended, none to be refused, and there was none.
        """
        server = _server(record)
        if record["refuse"]:
            server.refuse(record)
        ended = server.terminate(record) if record["terminate"] else 0
        if not ended and not record["refuse"]:
            raise UnavailableError("there was no session to end.", where=record["dsn"])
        return {"ended": ended}

    def active(self, record: Record) -> bool | None:
        """Whether new clients are refused; that sessions were ended is over at once."""
        if not record["refuse"]:
            return False
        try:
            return bool(_server(record).refuses(record))
        except UnavailableError:
            outlives = _server(record).OUTLIVES_THE_SERVER or process.alive(record["pid"], record["ticks"])
            return None if outlives else False

    def struck(self, record: Record) -> bool:
        """Whether sessions were ended or new ones are refused."""
        return bool(record.get("ended")) or self.active(record) is not False

    def lasts(self, record: Record) -> bool:
        """New ones are refused until that is undone."""
        return bool(record["refuse"])

    def revert(self, record: Record) -> None:
        """Let clients in again. Raises ``UnavailableError`` if the server is not there, or is another one by now."""
        if record["refuse"] and self.active(record) is not False:
            _server(record).admit(record)
        _server(record).tidy(record)


def _server(record: Record) -> ModuleType:
    """The module that knows this server. Raises ``UnavailableError`` if none does."""
    technology = record["technology"]
    if technology in postgresql.TECHNOLOGIES:
        return refuse_postgresql
    if technology in redis_server.TECHNOLOGIES:
        return refuse_redis
    raise UnavailableError(f"{technology or 'its technology'} is not known here; postgresql and redis are.")
