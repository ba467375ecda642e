"""Data layer: databases and caches refuse, lock or forget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import Field, model_validator

from executor.model.base import Line, Milliseconds, PlainName, Probability, QueueName, SqlName
from executor.model.faults.base import BY_REDIRECT, FaultSpec, TargetKind, delayed
from executor.model.vocabulary import FaultType, Scope
from executor.model.wording import duration, many, share

if TYPE_CHECKING:
    from executor.model.system import Service


class CacheFlush(FaultSpec):
    """Keys vanish from the cache at once; they are put back at revert unless the application wrote them anew."""

    target_kind: ClassVar[TargetKind] = "instances"
    scope: ClassVar[tuple[Scope, ...]] = (Scope.SERVICE, Scope.SERVER)
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


class CacheStampede(FaultSpec):
    """The keys of the cache that are used most expire, all at one moment; put back at revert unless written anew."""

    target_kind: ClassVar[TargetKind] = "instances"
    scope: ClassVar[tuple[Scope, ...]] = (Scope.SERVICE, Scope.SERVER)
    differs: ClassVar[str] = (
        "The moment is Murphy's, not that of a deployment which wrote all the keys at once; a key that the application"
        " deletes, or counts up in the second before, comes back with its old value."
    )
    strength: ClassVar[tuple[str, ...]] = ("keys",)
    look: ClassVar[FaultType] = FaultType.COLD
    kind: Literal["data.cache_stampede"] = "data.cache_stampede"
    pattern: Line = "*"
    """Redis glob of the keys meant."""
    keys: Annotated[int, Field(ge=1, le=10_000)] = 1000
    """How many of them at most: those used most, by the server's own count or clock."""

    def words(self) -> str:
        """What is done."""
        return f"have the {many(self.keys, 'key')} used most that match {self.pattern} expire at one moment"


class CachePause(FaultSpec):
    """The cache takes its clients' commands and holds them, all or only those that write."""

    target_kind: ClassVar[TargetKind] = "instances"
    scope: ClassVar[tuple[Scope, ...]] = (Scope.SERVER,)
    differs: ClassVar[str] = (
        "Connections are taken as ever and nothing expires meanwhile; a server that is stuck would let them wait too."
    )
    kind: Literal["data.cache_pause"] = "data.cache_pause"
    what: Literal["all", "writes"] = "all"

    def looks(self) -> FaultType:
        """By its parameters."""
        return FaultType.SILENT if self.what == "all" else FaultType.LOCKED

    def words(self) -> str:
        """What is done."""
        return f"hold {'all commands' if self.what == 'all' else 'the commands that write'}"


class QueueBacklog(FaultSpec):
    """A queue fills with messages of Murphy's, which its consumers have to get through; what is left is taken out."""

    target_kind: ClassVar[TargetKind] = "instances"
    scope: ClassVar[tuple[Scope, ...]] = (Scope.SERVICE,)
    differs: ClassVar[str] = (
        "The messages are alike and mean nothing to the application, which gets them and may refuse them; a real"
        " backlog is its own work, and stays to be done. The numbers that they had in the queue are not used again."
    )
    lacks: ClassVar[str] = "no queue is known; name the queues in system.yaml."
    strength: ClassVar[tuple[str, ...]] = ("messages", "rate_per_s")
    look: ClassVar[FaultType] = FaultType.SLOW
    kind: Literal["data.queue_backlog"] = "data.queue_backlog"
    queue: QueueName
    """One that system.yaml names (``queues``): a stream of NATS JetStream."""
    subject: Line = ""
    """By which subject; empty: the only one by which the queue takes messages."""
    messages: Annotated[int, Field(ge=1, le=20_000)] = 1000
    rate_per_s: Annotated[int, Field(ge=1, le=2000)] = 200
    message_bytes: Annotated[int, Field(ge=1, le=65_536)] = 1024

    @classmethod
    def typical(cls, service: Service) -> Self | None:
        """Into the busiest queue."""
        return cls(queue=service.queues[0]) if service.queues else None

    @model_validator(mode="after")
    def _is_bounded(self) -> Self:
        if self.messages * self.message_bytes > 64 * 2**20:
            raise ValueError("messages of more than 64 MiB together; take fewer, or smaller ones")
        return self

    def words(self) -> str:
        """What is done."""
        much = f"{self.messages:,} messages of {self.message_bytes:,} bytes, {self.rate_per_s:,} a second"
        return f"fill queue {self.queue} with {much}; what is left of them is taken out afterwards"


class Lock(FaultSpec):
    """A transaction holds a lock on a table, or on some of its rows."""

    target_kind: ClassVar[TargetKind] = "instances"
    scope: ClassVar[tuple[Scope, ...]] = (Scope.SERVICE,)
    differs: ClassVar[str] = (
        "The lock is taken by a session of ours; the real holder would also do work. Rows are chosen by chance, where a"
        " real holder mostly has those that everybody wants."
    )
    lacks: ClassVar[str] = "no table is known; name the tables in system.yaml."
    look: ClassVar[FaultType] = FaultType.LOCKED
    kind: Literal["data.lock"] = "data.lock"
    table: SqlName
    mode: Literal["ACCESS EXCLUSIVE", "EXCLUSIVE", "SHARE ROW EXCLUSIVE"] = "ACCESS EXCLUSIVE"
    """``ACCESS EXCLUSIVE`` makes readers wait too, the others only writers."""
    rows: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """Only so many rows at most, instead of the table: ``SELECT … FOR UPDATE``. They are read as ever; whoever writes
    one, or a row that refers to one, waits."""

    @classmethod
    def typical(cls, service: Service) -> Self | None:
        """On the busiest table."""
        return cls(table=service.tables[0]) if service.tables else None

    @model_validator(mode="after")
    def _is_of_one_sort(self) -> Self:
        if self.rows is not None and self.mode != type(self).model_fields["mode"].default:
            raise ValueError("rows and mode exclude each other; leave out mode, which is of a lock on the whole table")
        return self

    def at(self, share: float) -> Self | None:
        """A table is locked or not; of rows, fewer."""
        return None if self.rows is None else self._with(rows=max(1, int(self.rows * share)))

    def words(self) -> str:
        """What is done."""
        if self.rows is not None:
            return f"hold a lock on {many(self.rows, 'row')} of table {self.table}, which can be read and not written"
        return f"hold an {self.mode} lock on table {self.table}"


class ConnectionFailure(FaultSpec):
    """The database ends its clients' sessions, refuses new ones, or both."""

    target_kind: ClassVar[TargetKind] = "instances"
    scope: ClassVar[tuple[Scope, ...]] = (Scope.SERVER,)
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


class PoolExhaustion(FaultSpec):
    """Idle sessions take the database's connections, up to all that are not reserved for its administrators."""

    target_kind: ClassVar[TargetKind] = "instances"
    scope: ClassVar[tuple[Scope, ...]] = (Scope.SERVER,)
    differs: ClassVar[str] = (
        "The sessions belong to Murphy and do nothing; a leaking client's may hold locks and open transactions too."
    )
    strength: ClassVar[tuple[str, ...]] = ("sessions",)
    usual: ClassVar[dict[str, Any]] = {"sessions": 10_000}
    look: ClassVar[FaultType] = FaultType.CONNECTIONS_TAKEN
    kind: Literal["data.pool_exhaustion"] = "data.pool_exhaustion"
    sessions: Annotated[int, Field(ge=1, le=10_000)]
    """How many; where the database has fewer, all of them."""

    def words(self) -> str:
        """What is done."""
        return f"hold {many(self.sessions, 'idle session')} of the database, or as many as it has"


class SlowQuery(FaultSpec):
    """Each statement on the edge to a PostgreSQL database is carried out late."""

    target_kind: ClassVar[TargetKind] = "edge"
    scope: ClassVar[tuple[Scope, ...]] = (Scope.CALLERS,)
    differs: ClassVar[str] = (
        "The statement waits before it reaches the database, so it holds no locks and no processor meanwhile. In an"
        " encrypted session each burst of bytes waits, the log-in too." + BY_REDIRECT
    )
    strength: ClassVar[tuple[str, ...]] = ("delay_ms",)
    usual: ClassVar[dict[str, Any]] = {"delay_ms": 2000}
    kind: Literal["data.slow_query"] = "data.slow_query"
    delay_ms: Annotated[Milliseconds, Field(gt=0)]

    def looks(self) -> FaultType:
        """By its parameters."""
        return delayed(self.delay_ms)

    def words(self) -> str:
        """What is done."""
        return f"delay each statement by {duration(self.delay_ms / 1000)}"


class Rollback(FaultSpec):
    """The database ends sessions of the application in the middle of a transaction, which is rolled back."""

    target_kind: ClassVar[TargetKind] = "instances"
    scope: ClassVar[tuple[Scope, ...]] = (Scope.SERVER,)
    differs: ClassVar[str] = (
        "The session goes with its transaction, as in a failover; a deadlock or a failed serialization would leave it."
        " A transaction is met while it is open, and one shorter than some 10 ms may slip through."
    )
    strength: ClassVar[tuple[str, ...]] = ("probability",)
    kind: Literal["data.rollback"] = "data.rollback"
    probability: Probability = 1.0
    """Chance for each transaction that has written something."""
    every: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    """Only every so many of them is met at all."""

    def looks(self) -> FaultType:
        """By its parameters."""
        return FaultType.SESSIONS_LOST if self.probability >= 1 and self.every == 1 else FaultType.INTERMITTENT

    def words(self) -> str:
        """What is done."""
        which = share(self.probability, "transaction")
        return f"roll back {which} that writes" + (f", of every {self.every} one" if self.every > 1 else "")


class Corruption(FaultSpec):
    """Rows of a table are damaged; they are put back afterwards, unless the application wrote them meanwhile."""

    target_kind: ClassVar[TargetKind] = "instances"
    scope: ClassVar[tuple[Scope, ...]] = (Scope.SERVICE,)
    differs: ClassVar[str] = (
        "The damage is well-formed and known to the database, in one column; a broken disk page fails its checksum, and"
        " its rows cannot be read at all. Replicas and backups made meanwhile get the damage too."
    )
    lacks: ClassVar[str] = "no table is known; name the tables in system.yaml."
    strength: ClassVar[tuple[str, ...]] = ("rows",)
    look: ClassVar[FaultType] = FaultType.MALFORMED
    kind: Literal["data.corruption"] = "data.corruption"
    table: SqlName
    rows: Annotated[int, Field(ge=1, le=10_000)] = 10
    """How many at most, chosen by chance."""
    how: Literal["null", "flip", "truncate", "duplicate"] = "flip"
    """``flip`` changes a bit of a text, of bytes or of a whole number, and turns a sign or a truth value round;
    ``truncate`` keeps the first half of a text or of bytes; ``duplicate`` adds each row once more, under a key of its
    own below zero."""
    column: PlainName | None = None
    """By default the first column that can be struck: one that no key, constraint or unique index speaks of."""

    @classmethod
    def typical(cls, service: Service) -> Self | None:
        """In the busiest table."""
        return cls(table=service.tables[0]) if service.tables else None

    def words(self) -> str:
        """What is done."""
        where = f"table {self.table}, put back afterwards"
        return {
            "null": f"empty a field of {many(self.rows, 'row')} in {where}",
            "flip": f"falsify a field of {many(self.rows, 'row')} in {where}",
            "truncate": f"cut a field of {many(self.rows, 'row')} in half in {where}",
            "duplicate": f"add {many(self.rows, 'row')} a second time to {where}",
        }[self.how]


class Inconsistency(FaultSpec):
    """A replica is not what its primary is: it stands still, stays behind, or some of its rows say something else."""

    target_kind: ClassVar[TargetKind] = "instances"
    scope: ClassVar[tuple[Scope, ...]] = (Scope.SERVER,)
    differs: ClassVar[str] = (
        "What is written meanwhile reaches the replica and waits there; after a broken link it would not even be there."
        " Rows that differ are known to Murphy; what made them differ in earnest would go on."
    )
    look: ClassVar[FaultType] = FaultType.STALE
    kind: Literal["data.inconsistency"] = "data.inconsistency"
    lag_s: Annotated[float, Field(ge=0.1, le=3600)] | None = None
    """So long after its commit a standby of PostgreSQL shows what was written, seconds."""
    divergence: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """So many rows of ``table`` at most are falsified on a subscriber (logical replication), and put back afterwards.

    With neither, a standby stands still."""
    table: SqlName | None = None

    @model_validator(mode="after")
    def _is_one_way(self) -> Self:
        if self.lag_s is not None and self.divergence is not None:
            raise ValueError("a replica stays behind (lag_s) or differs (divergence); take two actions for both")
        if (self.divergence is None) != (self.table is None):
            raise ValueError("divergence and table belong together: how many rows, and of which table")
        return self

    def at(self, share: float) -> Self | None:
        """Standing still has no degrees."""
        if self.lag_s is not None:
            return self._with(lag_s=max(0.1, self.lag_s * share))
        return None if self.divergence is None else self._with(divergence=max(1, int(self.divergence * share)))

    def words(self) -> str:
        """What is done."""
        if self.lag_s is not None:
            return f"keep the replica {duration(self.lag_s)} behind what is written"
        if self.divergence is not None:
            rows = many(self.divergence, "row")
            return f"let {rows} of table {self.table} differ from the primary's, put back afterwards"
        return "let the replica fall behind what is written"


class BackupFailure(FaultSpec):
    """What backs the data up fails: it cannot write, cannot log in, or has left half an archive."""

    target_kind: ClassVar[TargetKind] = "instances"
    scope: ClassVar[tuple[Scope, ...]] = (Scope.SETTINGS,)
    differs: ClassVar[str] = (
        "It begins at a moment of our choosing and is seen only by what runs then; a full disk may have gone unnoticed"
        " for weeks."
    )
    kind: Literal["data.backup_failure"] = "data.backup_failure"
    how: Literal["target_unwritable", "truncated_archive", "wrong_credentials"] = "target_unwritable"

    def looks(self) -> FaultType:
        """By its parameters."""
        return FaultType.MALFORMED if self.how == "truncated_archive" else FaultType.REFUSED

    def words(self) -> str:
        """What is done."""
        return {
            "target_unwritable": "let nothing be written where the backups are",
            "truncated_archive": "leave only half of the newest backup; the whole one is put back afterwards",
            "wrong_credentials": "give the backup job a wrong password",
        }[self.how]


class RestoreDrill(FaultSpec):
    """The declared backup is restored into a database of its own and compared with the data it should bring back."""

    target_kind: ClassVar[TargetKind] = "instances"
    scope: ClassVar[tuple[Scope, ...]] = (Scope.TARGET,)
    differs: ClassVar[str] = (
        "The data is not lost, so it can be compared; the copy is restored on the same machine, beside the database"
        " that goes on working."
    )
    look: ClassVar[FaultType] = FaultType.REHEARSED
    kind: Literal["data.restore_drill"] = "data.restore_drill"
    tables: tuple[SqlName, ...] = ()
    """Which are compared; none named: all those of the application."""
    within_s: Annotated[float, Field(ge=1, le=3600)] = 300
    """Longest that restoring may take, seconds."""

    def words(self) -> str:
        """What is done."""
        return f"restore the backup into a database of its own, within {duration(self.within_s)}, and compare"


SPECS: Final[tuple[type[FaultSpec], ...]] = (
    CacheFlush,
    CacheStampede,
    CachePause,
    QueueBacklog,
    Lock,
    ConnectionFailure,
    PoolExhaustion,
    Corruption,
    Rollback,
    Inconsistency,
    SlowQuery,
    BackupFailure,
    RestoreDrill,
)
