"""Behaviours of the data layer. Standard library only."""

from __future__ import annotations

from executor.faults.behaviour import Behaviour
from executor.faults.data.backup_failure import BackupFailure
from executor.faults.data.cache_flush import CacheFlush
from executor.faults.data.cache_pause import CachePause
from executor.faults.data.cache_stampede import CacheStampede
from executor.faults.data.connection_failure import ConnectionFailure
from executor.faults.data.corruption import Corruption
from executor.faults.data.inconsistency import Inconsistency
from executor.faults.data.lock import Lock
from executor.faults.data.pool_exhaustion import PoolExhaustion
from executor.faults.data.queue_backlog import QueueBacklog
from executor.faults.data.restore_drill import RestoreDrill
from executor.faults.data.rollback import Rollback
from executor.faults.data.slow_query import SlowQuery

BEHAVIOURS: tuple[Behaviour, ...] = (
    CacheFlush(),
    CacheStampede(),
    CachePause(),
    QueueBacklog(),
    Lock(),
    ConnectionFailure(),
    PoolExhaustion(),
    Corruption(),
    Rollback(),
    Inconsistency(),
    SlowQuery(),
    BackupFailure(),
    RestoreDrill(),
)
