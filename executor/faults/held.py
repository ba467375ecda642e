"""What faults share that live in a helper process of ours: start it, look whether it lives, renew its lease, end it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from executor.drivers import child, process
from executor.faults.behaviour import Context, Record


def record(context: Context) -> dict[str, Any]:
    """The part of a record that names the helper's deadline file."""
    return {"deadline": str(Path(context.scratch) / f"{context.mark}.lease")}


def start(module: str, arguments: list[str], kept: Record, lease_s: float, count: int = 1) -> dict[str, Any]:
    """Start ``count`` helpers running ``module``; returns what the record must learn about them.

    Raises ``UnavailableError`` if one cannot begin; those begun end with the deadline file, which ``end`` removes.
    """
    helpers = [child.spawn(module, arguments, Path(kept["deadline"]), lease_s) for _ in range(count)]
    return {"helpers": [[helper.pid, helper.start_ticks] for helper in helpers]}


def alive(kept: Record) -> bool:
    """Whether a helper lives."""
    return any(process.alive(pid, ticks) for pid, ticks in kept.get("helpers", ()))


def renew(kept: Record, lease_s: float) -> None:
    """Push the helpers' deadline on."""
    child.extend(Path(kept["deadline"]), lease_s)


def end(kept: Record) -> None:
    """End the helpers. Idempotent; one that was started but never recorded ends once it misses its deadline file."""
    Path(kept["deadline"]).unlink(missing_ok=True)
    for pid, ticks in kept.get("helpers", ()):
        child.end(pid, ticks, Path(kept["deadline"]))
