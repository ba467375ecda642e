"""Data layer: databases and caches refuse, lock or forget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Literal, Self

from pydantic import StringConstraints

from executor.model.base import Line
from executor.model.faults.base import FaultSpec, TargetKind
from executor.model.vocabulary import FaultType

if TYPE_CHECKING:
    from executor.model.system import Service

SqlName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}(\.[A-Za-z_][A-Za-z0-9_]{0,62})?$")]
"""A table, optionally with its schema; never quoted text, so nothing can be smuggled in."""


class CacheFlush(FaultSpec):
    """Keys vanish from the cache at once; they are put back at revert unless the application wrote them anew."""

    target_kind: ClassVar[TargetKind] = "instances"
    differs: ClassVar[str] = (
        "A lost cache node also drops connections; here only the keys go, and a key that the application deletes while"
        " it is out comes back with its old value."
    )
    look: ClassVar[FaultType] = FaultType.COLD
    kind: Literal["data.cache_flush"] = "data.cache_flush"
    pattern: Line = "*"
    """Redis glob of the keys meant."""

    def words(self) -> str:
        """What is done."""
        return f"remove the keys that match {self.pattern}; they are put back afterwards"


class Lock(FaultSpec):
    """A transaction holds a lock on a table."""

    target_kind: ClassVar[TargetKind] = "instances"
    differs: ClassVar[str] = "The lock is taken by a session of ours; the real holder would also do work."
    lacks: ClassVar[str] = "no table is known; name the tables in system.yaml."
    look: ClassVar[FaultType] = FaultType.LOCKED
    kind: Literal["data.lock"] = "data.lock"
    table: SqlName
    mode: Literal["ACCESS EXCLUSIVE", "EXCLUSIVE", "SHARE ROW EXCLUSIVE"] = "ACCESS EXCLUSIVE"
    """``ACCESS EXCLUSIVE`` makes readers wait too, the others only writers."""

    @classmethod
    def typical(cls, service: Service) -> Self | None:
        """On the busiest table."""
        return cls(table=service.tables[0]) if service.tables else None

    def words(self) -> str:
        """What is done."""
        return f"hold an {self.mode} lock on table {self.table}"


class ConnectionFailure(FaultSpec):
    """The database ends its clients' sessions, refuses new ones, or both."""

    target_kind: ClassVar[TargetKind] = "instances"
    differs: ClassVar[str] = (
        "The server stays up, so clients are told at once; a dead host leaves them waiting. Redis turns clients away at"
        " log-in, not when they connect."
    )
    kind: Literal["data.connection_failure"] = "data.connection_failure"
    how: Literal["terminate", "refuse_new", "both"] = "both"

    def looks(self) -> FaultType:
        """By its parameters."""
        return FaultType.REFUSED if self.how == "refuse_new" else FaultType.SESSIONS_LOST

    def words(self) -> str:
        """What is done."""
        return {
            "terminate": "end its clients' sessions",
            "refuse_new": "refuse new sessions",
            "both": "end its clients' sessions and refuse new ones",
        }[self.how]


SPECS: Final[tuple[type[FaultSpec], ...]] = (
    CacheFlush,
    Lock,
    ConnectionFailure,
)
