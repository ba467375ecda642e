"""Behaviours of the data layer. Standard library only."""

from __future__ import annotations

from executor.faults.behaviour import Behaviour
from executor.faults.data.cache_flush import CacheFlush
from executor.faults.data.connection_failure import ConnectionFailure
from executor.faults.data.lock import Lock

BEHAVIOURS: tuple[Behaviour, ...] = (
    CacheFlush(),
    Lock(),
    ConnectionFailure(),
)
