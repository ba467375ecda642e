"""Whose a connection is: told by the process that holds its socket."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection
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
        self._pids: list[int] = []
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
            if self._held(inodes):
                return True
            if time.monotonic() - self._looked_at < _LOOK_AGAIN_S:
                return False
            self._pids = [pid for instance in self._instances for pid in _pids(instance)]
            self._looked_at = time.monotonic()
            return self._held(inodes)

    def _held(self, inodes: Collection[str]) -> bool:
        return any(not sockets.held(pid).isdisjoint(inodes) for pid in self._pids)


def _pids(instance: dict[str, Any]) -> list[int]:
    head = process.Found(instance["pid"], instance["ticks"])
    if not process.alive(head.pid, head.start_ticks):  # it may have been started again
        wanted: Any = SimpleNamespace(
            id=instance["id"], port=instance["port"], command=instance["command"], pid=None, start_ticks=None
        )
        try:
            head = locate.find(wanted)
        except UnavailableError:
            return []
    return [pid for pid, _ in process.members(head.pid, head.start_ticks)]
