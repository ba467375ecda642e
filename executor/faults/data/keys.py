"""Keys of a cache that go out of it and come back: what the faults share that take them. Standard library only.

Each key is written down before it goes, and goes only if it is still as written down.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha1
from pathlib import Path
from typing import TYPE_CHECKING, Any

from executor.errors import UnavailableError
from executor.faults.behaviour import Record
from executor.faults.data import shelf
from executor.faults.data.shelf import Kept
from executor.model.wording import many
from executor.servers import redis_server

if TYPE_CHECKING:
    from executor.drivers.targets import ProcessTarget

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
local taken, moment = {}, ARGV[#KEYS + 1]
for i, key in ipairs(KEYS) do
  local value = redis.call('DUMP', key)
  if value and redis.sha1hex(value) == ARGV[i] then
    if moment == '0' then redis.call('UNLINK', key) else redis.call('PEXPIREAT', key, moment) end
    taken[i] = 1
  elseif value then taken[i] = 0 else taken[i] = -1 end
end
return taken"""
_RESCUE = """
local found = 0
for i, key in ipairs(KEYS) do
  local now, left = redis.call('TIME'), redis.call('PTTL', key)
  if left >= 0 and math.abs(now[1] * 1000 + now[2] / 1000 + left - ARGV[1]) < 20 then
    found = found + 1
    if ARGV[i + 1] == '0' then redis.call('PERSIST', key)
    elseif ARGV[i + 1] ~= '' then redis.call('PEXPIREAT', key, ARGV[i + 1]) end
  end
end
return found"""
"""Keys that are still there and are to expire at a moment of ours, give or take what PTTL rounds, shall live on."""


def look(target: ProcessTarget, pattern: str) -> list[bytes]:
    """The keys meant, each once. Raises ``UnavailableError`` if they are not to be taken, are none or too many."""
    service = target.service
    with redis_server.session_of(target) as client:
        if not service.disposable and service.backup is None:  # the preflight sees whether the backup is good
            why = "holds data that is neither disposable nor backed up; say which in system.yaml."
            raise UnavailableError(why, where=service.name)
        info = client.info()
        if info.get("cluster_enabled") or info["role"] != "master":
            raise UnavailableError("is a replica or part of a cluster; it is left alone.", where=service.name)
        found = matching(client, pattern)
        size = sum(sum(filter(None, each(client, part, "MEMORY", "USAGE"))) for part in parts(found))
        reason = next(filter(None, (_refused(client, part) for part in parts(found))), None)
    if not found:
        raise UnavailableError(f"has no key {pattern}, so none can go.", where=service.name)
    if size > MOST_BYTES:
        asked, most = size // 2**20, MOST_BYTES // 2**20
        raise UnavailableError(f"{asked} MiB would go, {most} at most; be more exact.", where=service.name)
    if reason:
        why = f"would not let this user take keys and put them back: {reason.rstrip('.')}."
        hint = "Let its dsn log in as a user with all rights to these keys, RESTORE and EVAL among them."
        raise UnavailableError(why, where=service.name, hint=hint)
    return found


def _refused(client: Any, keys: Sequence[bytes]) -> str | None:
    """What Redis would say against taking these keys or putting them back; nothing is done to them."""
    first: list[Sequence[bytes | str | int]] = [(command, keys[0]) for command in ("DUMP", "PTTL", "PERSIST")]
    first += (("UNLINK", *keys), ("EVAL", "return 0", len(keys), *keys), ("PEXPIREAT", keys[0], 1), ("TIME",))
    return redis_server.refused(client, [*first, *(("RESTORE", key, 0, b"") for key in keys)])


def matching(client: Any, pattern: str) -> list[bytes]:
    """The keys that match, each once. Raises ``UnavailableError`` if there are too many."""
    if client.dbsize() > _LOOKED_AT:
        raise UnavailableError(f"this database has more than {_LOOKED_AT} keys; it is not scanned.")
    found: dict[bytes, None] = {}
    for key in client.scan_iter(match=pattern, count=1000):
        found[key] = None
        if len(found) > MOST_KEYS:
            raise UnavailableError(f"more than {MOST_KEYS} keys are meant; be more exact.")
    return list(found)


def parts(keys: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """The keys, as many at a time as Redis is asked about in one go."""
    return (keys[i : i + _CHUNK] for i in range(0, len(keys), _CHUNK))


def each(client: Any, keys: Sequence[bytes], *command: str) -> list[Any]:
    """One command for each key, in one go."""
    pipe = client.pipeline(transaction=False)
    for key in keys:
        pipe.execute_command(*command, key)
    return list(pipe.execute())


def now_ms(client: Any) -> int:
    """The server's clock."""
    seconds, microseconds = client.time()
    return int(seconds) * 1000 + int(microseconds) // 1000


def take(client: Any, keys: Sequence[bytes], file: Path, at_ms: int = 0) -> int:
    """Write some keys down, and then take them out or have them expire ``at_ms``; how many.

    Those that would expire before of themselves are left alone.
    """
    taken = 0
    for _ in range(_ROUNDS):
        now = now_ms(client)
        values, left_ms = each(client, keys, "DUMP"), each(client, keys, "PTTL")
        found = {
            key: Kept(value, now + left if left >= 0 else 0, at_ms)
            for key, value, left in zip(keys, values, left_ms, strict=True)
            if value is not None and left != _GONE and not 0 <= left <= at_ms - now
        }
        if not found:
            break
        shelf.add(file, found)
        known = [sha1(kept.value, usedforsecurity=False).hexdigest() for kept in found.values()]
        done = client.eval(_TAKE, len(found), *found, *known, at_ms)
        taken += done.count(1)
        shelf.forget(file, [key for key, result in zip(found, done, strict=True) if result != 1])
        keys = [key for key, result in zip(found, done, strict=True) if result == 0]
    return taken


def out(record: Record) -> bool | None:
    """Whether a key is missing, or about to expire, that was taken and would not have expired by now."""
    kept = shelf.read(Path(record["shelf"]))
    if not kept:
        return False
    try:
        with redis_server.session(record["dsn"]) as client:
            missing = any(0 in each(client, part, "EXISTS") for part in parts(_unexpired(client, kept)))
            return missing or bool(_expiring(client, kept, rescue=False))
    except UnavailableError:
        return None


def put_back(record: Record) -> None:
    """Put the keys back that are not there, with the rest of their time to live; let those live that are about to go.

    Raises ``UnavailableError`` if the server is not there or does not take one; the others are there then, and the file
    stays.
    """
    file = Path(record["shelf"])
    kept = shelf.read(file)
    if kept:
        with redis_server.session(record["dsn"]) as client:
            _expiring(client, kept, rescue=True)
            refused = [
                why
                for part in parts(_unexpired(client, kept))
                for why in _put(client, {key: kept[key] for key in part})
            ]
        if refused:
            why = f"Redis does not take {many(len(refused), 'key')} back: {refused[0].rstrip('.')}."
            raise UnavailableError(why, where=record["dsn"])
    file.unlink(missing_ok=True)


def _expiring(client: Any, kept: Mapping[bytes, Kept], *, rescue: bool) -> int:
    """How many keys are still there, are not written anew and expire when we said; ``rescue`` lets them live."""
    now, found = now_ms(client), 0
    for at_ms in {value.at_ms for value in kept.values() if value.at_ms >= now}:
        for part in parts([key for key, value in kept.items() if value.at_ms == at_ms]):
            lives = [kept[key].expires_ms if rescue else "" for key in part]
            found += client.eval(_RESCUE, len(part), *part, at_ms, *lives)
    return found


def _put(client: Any, keys: Mapping[bytes, Kept]) -> list[str]:
    """What the server says of each that it does not take, but for those that are there."""
    pipe = client.pipeline(transaction=False)
    for key, kept in keys.items():
        pipe.restore(key, kept.expires_ms, kept.value, absttl=True)
    errors = [str(result) for result in pipe.execute(raise_on_error=False) if isinstance(result, Exception)]
    return [error for error in errors if not error.startswith("BUSYKEY")]


def _unexpired(client: Any, kept: Mapping[bytes, Kept]) -> list[bytes]:
    now = now_ms(client)
    return [key for key, value in kept.items() if not 0 < value.expires_ms <= now]
