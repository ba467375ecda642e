"""What the journal holds, as values. Standard library only."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from dataclasses import dataclass
from typing import Any

from executor.clock import boot_id, boottime, start_ticks


@dataclass(frozen=True)
class Reach:
    """The most that a run touches at one moment, and all that it touches at any."""

    instances: int
    services: int
    faults: int
    targets: tuple[str, ...]
    """Instance ids and edges, over all stages."""
    traffic: float = 0.0
    """Share of what users do that is predicted to pass over what it touches, percent."""
    protected: float = 0.0
    """Most of its work that a protected service is predicted to lose indirectly, percent."""
    struck: tuple[str, ...] = ()
    """Services that it touches."""
    leans: tuple[str, ...] = ()
    """Services that those depend on, directly or not."""

    def predicted(self) -> str:
        """All but the counts, as the journal keeps it: a JSON object."""
        counts = ("instances", "services", "faults")
        return json.dumps({name: value for name, value in vars(self).items() if name not in counts})


@dataclass(frozen=True)
class RunRow:
    """A run that has begun and, as far as the journal knows, not ended."""

    run: str
    pid: int
    start_ticks: int
    boot_id: str
    reach: Reach

    @property
    def alive(self) -> bool:
        """Whether its executor still runs."""
        return self.boot_id == boot_id() and start_ticks(self.pid) == self.start_ticks


@dataclass(frozen=True)
class Injection:
    """One fault on one target, as recorded."""

    id: int
    run: str
    experiment: str
    trial: int
    action: str
    kind: str
    subject: str
    """What it strikes: an instance id, or edges."""
    mark: str
    record: dict[str, Any]
    state: str
    expires: float
    boot_id: str
    error: str
    by: str
    """Who reverted it."""

    @property
    def lapsed(self) -> bool:
        """Whether its lease has ended."""
        return self.boot_id != boot_id() or boottime() >= self.expires

    def __str__(self) -> str:
        return f"{self.kind} on {self.subject} (run {self.run}, mark {self.mark})"


def _reach(row: sqlite3.Row) -> Reach:
    kept = json.loads(row["targets"])
    if isinstance(kept, list):  # as it was kept before anything was predicted
        kept = {"targets": kept}
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in kept.items()}
    return Reach(row["instances"], row["services"], row["faults"], **values)


def mark_stem(run: str) -> str:
    """What all marks of a run begin with; a number follows."""
    return f"murphy-{run.removeprefix('run-')}-"


def record_digest(text: bytes) -> str:
    """``sha256:<64 hex>`` over a record as the journal keeps it."""
    return "sha256:" + hashlib.sha256(text).hexdigest()


def run_of(row: sqlite3.Row) -> RunRow:
    """A run from its row."""
    return RunRow(row["run"], row["pid"], row["start_ticks"], row["boot_id"], _reach(row))


def injection_of(row: sqlite3.Row) -> Injection:
    """An injection from its row."""
    fields = {name: row[name] for name in row.keys() if name not in ("armed", "reverted")}  # noqa: SIM118 - sqlite3.Row
    return Injection(**{**fields, "record": json.loads(row["record"])})
