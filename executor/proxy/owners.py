"""Whose a connection is: told by the process that holds its socket."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterable
from contextlib import suppress
from types import SimpleNamespace
from typing import Any, Final

from executor.errors import UnavailableError
from executor.kernel import locate, process, sockdiag, sockets
from executor.kernel.sockdiag import Address

_LOOK_AGAIN_S: Final = 0.25


class Caller:
    """One calling service: its processes, their workers, and whoever is started in their place."""

    def __init__(self, instances: list[dict[str, Any]]) -> None:
        """Each instance with ``id``, ``pid``, ``ticks``, ``port`` and ``command``."""
        self._instances = instances
        self._heads: list[process.Found | None] = []
        self._pids: list[int] = []
        self._there: frozenset[int] = frozenset()
        """All processes of the machine as of the last look."""
        self._looked_at = 0.0
        self._turn = threading.Lock()

    def owns(self, local: Address, remote: Address) -> bool:
        """Whether the connection from ``local`` to ``remote`` is this caller's. Blocks for some milliseconds."""
        found = sockdiag.find(local, remote)
        return found is not None and self.holds(found)

    def holds(self, one: sockdiag.Connection) -> bool:
        """Whether one of the processes holds that end of a connection."""
        return self.holds_any({str(one.inode)})

    def holds_any(self, inodes: Collection[str]) -> bool:
        """Whether one of the processes holds one of the sockets."""
        with self._turn:
            if _holding(self._pids, inodes):
                return True
            if time.monotonic() - self._looked_at < _LOOK_AGAIN_S and not self._joined(inodes):
                return False
            self._look()
            return bool(_holding(self._pids, inodes))

    def _look(self) -> None:
        self._there = frozenset(process.pids())
        self._heads = [_head(instance) for instance in self._instances]
        self._pids = [pid for head in self._heads if head for pid in _members(head)]
        self._looked_at = time.monotonic()

    def _joined(self, inodes: Collection[str]) -> bool:
        """Whether one holds a socket that was started since the last look, and may be the caller's.

        It would be taken for a bystander else, for as long as its connection lasts: a worker for one call, say.
        """
        alive = {head.pid for head in self._heads if head and process.alive(head.pid, head.start_ticks)}
        new = _holding(set(process.pids()) - self._there, inodes)
        return any(len(alive) < len(self._instances) or not alive.isdisjoint(process.lineage(pid)) for pid in new)


def _holding(pids: Iterable[int], inodes: Collection[str]) -> list[int]:
    return [pid for pid in pids if not sockets.held(pid).isdisjoint(inodes)]


def _head(instance: dict[str, Any]) -> process.Found | None:
    head = process.Found(instance["pid"], instance["ticks"])
    if not process.alive(head.pid, head.start_ticks):  # it may have been started again
        wanted: Any = SimpleNamespace(
            id=instance["id"], port=instance["port"], command=instance["command"], pid=None, start_ticks=None
        )
        with suppress(UnavailableError):
            return locate.find(wanted)
        return None
    return head


def _members(head: process.Found) -> list[int]:
    with suppress(UnavailableError):  # it has just ended
        return [pid for pid, _ in process.members(head.pid, head.start_ticks)]
    return []
