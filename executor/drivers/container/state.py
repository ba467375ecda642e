"""A container as it was when a fault was prepared, held against what its engine says now.

Every start of a container is another one to whoever strikes it, though the engine keeps the container: it is told by
the moment at which it was started. Standard library only at import.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from executor.drivers.container import notes
from executor.drivers.container.engine import engine, inspected
from executor.drivers.driver import Record
from executor.drivers.targets import Contained, ContainerTarget
from executor.errors import UnavailableError
from executor.kernel import process

if TYPE_CHECKING:
    from executor.faults.behaviour import Context

Seen = Mapping[str, Any]
"""All that the engine says of a container."""

LOOK_S: Final = 0.02
SETTLES_S: Final = 2.0
"""How long an engine may take to do what somebody asked of it who is dead by now."""


def up(seen: Seen) -> bool:
    """Whether it runs, paused or not; while its engine waits with the next start it says that it runs too."""
    return bool(seen["State"]["Running"] and not seen["State"]["Restarting"])


def changing(instance: str, seen: Seen) -> str | None:
    """That a port of this machine would be another afterwards, in one sentence; ``None`` if each was asked for.

    One that the engine has chosen, from a range perhaps, is chosen anew when the container starts or joins a network.
    """
    asked_for = seen["HostConfig"]["PortBindings"] or {}
    for inside, ways in (seen["NetworkSettings"]["Ports"] or {}).items():
        fixed = {way["HostPort"] for way in asked_for.get(inside) or ()}
        for way in ways or ():
            if way["HostPort"] not in fixed:
                chosen = f"port {way['HostPort']}, which the engine chose for its {inside}"
                return f"{instance} would not get {chosen}, again; publish a fixed one."
    return None


def asked(context: Context) -> dict[str, Any]:
    """The part of a record that says which file tells that something was asked of the engine."""
    return {"asked": str(Path(context.scratch) / f"{context.mark}.asked")}


@contextmanager
def asking(record: Record) -> Iterator[Any]:
    """The engine, of which something is asked that it may do after we have died; a file says so until it answers."""
    require(record)
    told = Path(record["asked"])
    told.touch(mode=0o600)
    with engine(record["engine"]) as client:
        yield client
    told.unlink(missing_ok=True)


def settle(record: Record, done: Callable[[], bool | None], within_s: float = SETTLES_S) -> None:
    """Wait until it is done, if somebody who died meanwhile may have asked it of the engine."""
    told = Path(record["asked"])
    if told.exists():
        within(within_s, done)
        told.unlink(missing_ok=True)


def require(record: Record) -> Seen:
    """What the engine says of it. Raises ``UnavailableError`` unless it still runs as it was started then."""
    seen = inspected(record["engine"], record["container"])
    same = seen is not None and up(seen) and seen["State"]["StartedAt"] == record["since"]
    if seen is None or not same or not all(process.alive(*member) for member in record.get("members", ())):
        raise UnavailableError("the container ended, or was started again, by itself.", where=record["instance"])
    return seen


def of_then(target: Contained) -> Seen:
    """What the engine says of it. Raises ``UnavailableError`` if it is gone, or was started again since."""
    if isinstance(target, ContainerTarget):
        process.require(target.pid, target.start_ticks)
    return require({name: getattr(target, name) for name in ("instance", "engine", "container", "since")})


def within(seconds: float, condition: Callable[[], bool | None]) -> bool:
    """Wait until it holds, ``seconds`` at most; whether it does."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= until:
            return False
        time.sleep(LOOK_S)
    return True


def named(target: Contained) -> dict[str, Any]:
    """The part of a record that says which container."""
    return {
        "instance": target.instance,
        "engine": target.engine,
        "container": target.container,
        "name": of_then(target)["Name"].removeprefix("/"),
        "since": target.since,
        "noted": notes.possible(target.engine),
    }
