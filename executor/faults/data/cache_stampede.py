"""data.cache_stampede: the keys that are used most expire, all at one moment, and come back afterwards."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from executor.drivers.targets import Resolved
from executor.errors import UnavailableError
from executor.faults.behaviour import Context, Record
from executor.faults.data import keys
from executor.faults.data.cache_flush import CacheFlush
from executor.servers import redis_server

_LEAD_MS, _LEAD_EACH_MS = 250.0, 0.3
"""Time until the moment, and more of it for each key: one takes 0.06 ms to write down and be told."""


class CacheStampede(CacheFlush):
    """All are told the same moment a little ahead, so that Redis itself makes them expire, as it would anyway.

    Until then each is in the cache as before; one that is written anew loses the moment with its old value.
    """

    kind = "data.cache_stampede"

    def prepare(self, fault: Any, target: Resolved, context: Context) -> dict[str, Any]:
        """Record which keys are meant. Raises ``UnavailableError`` as ``unsupported`` says."""
        return {**super().prepare(fault, target, context), "keys": fault.keys}

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:  # noqa: ARG002 - the watchdog holds the lease
        """Tell the keys when to expire, and wait for it; returns how many did.

        Raises ``UnavailableError`` if that took so long that they did not expire at one moment.
        """
        with redis_server.session(record["dsn"]) as client:
            hot = _hottest(client, keys.matching(client, record["pattern"]))[: record["keys"]]
            at_ms = keys.now_ms(client) + int(_LEAD_MS + _LEAD_EACH_MS * len(hot))
            taken = sum(keys.take(client, part, Path(record["shelf"]), at_ms) for part in keys.parts(hot))
            left_ms = at_ms - keys.now_ms(client)
        if left_ms <= 0:
            why = f"Redis took {-left_ms} ms too long to have {len(hot)} keys expire at one moment; mean fewer."
            raise UnavailableError(why, where=record["dsn"])
        time.sleep((left_ms + 2) / 1000)  # a key is there up to and with its last millisecond
        return {"taken": taken}


def _hottest(client: Any, found: Sequence[bytes]) -> list[bytes]:
    """The keys by how often or else how recently they were used, whichever the server keeps, the most used first."""
    counts = "lfu" in client.info("memory").get("maxmemory_policy", "")
    asked = ("OBJECT", "FREQ" if counts else "IDLETIME")
    used = [value for part in keys.parts(found) for value in keys.each(client, part, *asked)]
    ranked = [(-use if counts else use, key) for use, key in zip(used, found, strict=True) if use is not None]
    return [key for _, key in sorted(ranked)]
