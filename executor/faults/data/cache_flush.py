"""data.cache_flush: keys go out of the cache, and come back afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha1
from pathlib import Path
from typing import TYPE_CHECKING, Any

from executor.drivers import redis_server
from executor.drivers.targets import ProcessTarget, Resolved
from executor.errors import UnavailableError
from executor.faults.behaviour import Context, LeaseKind, Record
from executor.faults.data import shelf
from executor.faults.data.shelf import Kept

if TYPE_CHECKING:
    from executor.model.faults.data import CacheFlush as Spec

MOST_KEYS = 100_000
MOST_BYTES = 64 * 2**20
_LOOKED_AT = 1_000_000
"""Keys of a whole database beyond which a scan would be a fault of its own."""
_CHUNK = 200
_GONE = -2
"""What PTTL says of a key that is not there."""
_ROUNDS = 5
"""Tries at a key that the application keeps changing; after that it counts as written anew."""
_TAKE = """
local taken = {}
for i, key in ipairs(KEYS) do
  local value = redis.call('DUMP', key)
  if value and redis.sha1hex(value) == ARGV[i] then redis.call('UNLINK', key); taken[i] = 1
  elseif value then taken[i] = 0 else taken[i] = -1 end
end
return taken"""


class CacheFlush:
    """Only where the data is disposable: what the application counts up or deletes meanwhile cannot be told afterwards.

    Each key is on disk before it goes, and goes only if it is still as written down.
    """

    kind = "data.cache_flush"
    lease: LeaseKind = "watchdog"

    def unsupported(self, fault: Spec, target: Resolved) -> str | None:
        """A disposable Redis that a dsn leads to, with such keys, and not too many."""
        try:
            self._look(fault, target)
        except UnavailableError as error:
            return str(error)
        return None

    def prepare(self, fault: Spec, target: Resolved, context: Context) -> dict[str, Any]:
        """Record which keys are meant. Raises ``UnavailableError`` as ``unsupported`` says."""
        file = Path(context.scratch) / f"{context.mark}.keys"
        return {"dsn": self._look(fault, target), "pattern": fault.pattern, "shelf": str(file)}

    def _look(self, fault: Spec, target: Resolved) -> str:
        assert isinstance(target, ProcessTarget)
        service = target.service
        if not service.disposable:
            raise UnavailableError("holds data that is not disposable; say so in system.yaml.", where=service.name)
        with redis_server.session_of(target) as client:
            info = client.info()
            if info.get("cluster_enabled") or info["role"] != "master":
                raise UnavailableError("is a replica or part of a cluster; it is not flushed.", where=service.name)
            keys = list(_keys(client, fault.pattern))
            size = sum(sum(filter(None, _each(client, part, "MEMORY", "USAGE"))) for part in _parts(keys))
            if not keys:
                raise UnavailableError(f"has no key {fault.pattern}, so none can go.", where=service.name)
            if size > MOST_BYTES:
                asked, most = size // 2**20, MOST_BYTES // 2**20
                raise UnavailableError(f"{asked} MiB would go, {most} at most; be more exact.", where=service.name)
        assert service.dsn is not None  # else there was no session
        return service.dsn

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:  # noqa: ARG002 - the watchdog holds the lease
        """Take the keys out; returns how many went."""
        with redis_server.session(record["dsn"]) as client:
            parts = _parts(list(_keys(client, record["pattern"])))
            return {"taken": sum(_take(client, part, Path(record["shelf"])) for part in parts)}

    def active(self, record: Record) -> bool | None:
        """Whether a key is missing that was taken out and would not have expired by now."""
        kept = shelf.read(Path(record["shelf"]))
        if not kept:
            return False
        try:
            with redis_server.session(record["dsn"]) as client:
                keys = list(_unexpired(client, kept))
                return any(0 in _each(client, part, "EXISTS") for part in _parts(keys))
        except UnavailableError:
            return None

    def struck(self, record: Record) -> bool:
        """Whether keys went."""
        return bool(record.get("taken"))

    def revert(self, record: Record) -> None:
        """Put the keys back that are not there, with the rest of their time to live.

        Raises ``UnavailableError`` if the server is not there or does not take them; the file with them stays then.
        """
        file = Path(record["shelf"])
        kept = shelf.read(file)
        if kept:
            with redis_server.session(record["dsn"]) as client:
                for part in _parts(list(_unexpired(client, kept))):
                    _put(client, {key: kept[key] for key in part})
        file.unlink(missing_ok=True)


def _keys(client: Any, pattern: str) -> Iterator[bytes]:
    """The keys meant, each once. Raises ``UnavailableError`` if there are too many."""
    if client.dbsize() > _LOOKED_AT:
        raise UnavailableError(f"this database has more than {_LOOKED_AT} keys; it is not scanned.")
    found: dict[bytes, None] = {}
    for key in client.scan_iter(match=pattern, count=1000):
        found[key] = None
        if len(found) > MOST_KEYS:
            raise UnavailableError(f"more than {MOST_KEYS} keys are meant; be more exact.")
    yield from found


def _parts(keys: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    return (keys[i : i + _CHUNK] for i in range(0, len(keys), _CHUNK))


def _each(client: Any, keys: Sequence[bytes], *command: str) -> list[Any]:
    """One command for each key, in one go."""
    pipe = client.pipeline(transaction=False)
    for key in keys:
        pipe.execute_command(*command, key)
    return list(pipe.execute())


def _now_ms(client: Any) -> int:
    seconds, microseconds = client.time()
    return int(seconds) * 1000 + int(microseconds) // 1000


def _take(client: Any, keys: Sequence[bytes], file: Path) -> int:
    """Write keys down and take them out; how many went."""
    taken = 0
    for _ in range(_ROUNDS):
        now = _now_ms(client)
        values, left_ms = _each(client, keys, "DUMP"), _each(client, keys, "PTTL")
        found = {
            key: Kept(value, now + left if left >= 0 else 0)
            for key, value, left in zip(keys, values, left_ms, strict=True)
            if value is not None and left != _GONE
        }
        if not found:
            break
        shelf.add(file, found)
        known = [sha1(kept.value, usedforsecurity=False).hexdigest() for kept in found.values()]
        done = client.eval(_TAKE, len(found), *found, *known)
        taken += done.count(1)
        shelf.forget(file, [key for key, result in zip(found, done, strict=True) if result != 1])
        keys = [key for key, result in zip(found, done, strict=True) if result == 0]
    return taken


def _put(client: Any, keys: dict[bytes, Kept]) -> None:
    pipe = client.pipeline(transaction=False)
    for key, kept in keys.items():
        pipe.restore(key, kept.expires_ms, kept.value, absttl=True)
    for result in pipe.execute(raise_on_error=False):
        if isinstance(result, Exception) and not str(result).startswith("BUSYKEY"):
            raise UnavailableError(f"Redis does not take a key back: {result}.")


def _unexpired(client: Any, kept: dict[bytes, Kept]) -> Iterator[bytes]:
    now = _now_ms(client)
    return (key for key, value in kept.items() if not 0 < value.expires_ms <= now)
