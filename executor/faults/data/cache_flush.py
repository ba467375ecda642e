"""data.cache_flush: keys go out of the cache, and come back afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from executor.drivers.targets import ProcessTarget, Resolved
from executor.errors import UnavailableError
from executor.faults.behaviour import Context, LeaseKind, Record
from executor.faults.data import keys
from executor.servers import redis_server


class CacheFlush:
    """Only where data can be thrown away, or got back from a backup.

    What the application counts up or deletes while the keys are out cannot be told afterwards.
    """

    kind = "data.cache_flush"
    lease: LeaseKind = "watchdog"

    # ``fault`` is ``Any`` for the sake of faults that take keys in another way.
    def unsupported(self, fault: Any, target: Resolved) -> str | None:
        """A Redis whose data may go, that a dsn leads to, with such keys, and not too many."""
        assert isinstance(target, ProcessTarget)
        try:
            keys.look(target, fault.pattern)
        except UnavailableError as error:
            return str(error)
        return None

    def prepare(self, fault: Any, target: Resolved, context: Context) -> dict[str, Any]:
        """Record which keys are meant. Raises ``UnavailableError`` as ``unsupported`` says."""
        assert isinstance(target, ProcessTarget)
        keys.look(target, fault.pattern)
        file = Path(context.scratch) / f"{context.mark}.keys"
        return {"dsn": target.service.dsn, "pattern": fault.pattern, "shelf": str(file)}

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:  # noqa: ARG002 - the watchdog holds the lease
        """Take the keys out; returns how many went."""
        with redis_server.session(record["dsn"]) as client:
            parts = keys.parts(keys.matching(client, record["pattern"]))
            return {"taken": sum(keys.take(client, part, Path(record["shelf"])) for part in parts)}

    def active(self, record: Record) -> bool | None:
        """Whether a key is missing that was taken out and would not have expired by now."""
        return keys.out(record)

    def struck(self, record: Record) -> bool:
        """Whether keys went."""
        return bool(record.get("taken"))

    def revert(self, record: Record) -> None:
        """Put the keys back that are not there. Raises ``UnavailableError`` if the server does not take them."""
        keys.put_back(record)
