"""The audit trail: who did what and when, each row bound to the one before by its hash. Standard library only."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from dataclasses import dataclass
from typing import Any

from executor.clock import wall
from executor.home import Home
from executor.store import Store

_GENESIS = "0" * 64


@dataclass(frozen=True)
class Entry:
    """One row of the trail."""

    seq: int
    at: str
    who: str
    what: str
    detail: dict[str, Any]
    previous: str
    hash: str


@dataclass(frozen=True)
class Verification:
    """What checking the chain gave."""

    entries: int
    """How many rows the trail has."""
    head: str
    """Hash of the last row; kept elsewhere, it also shows a trail that was cut off at the end."""
    faults: tuple[str, ...]
    """What is wrong, in words, first first; empty if the chain is whole."""

    @property
    def intact(self) -> bool:
        """Whether no row was edited, removed, inserted or moved."""
        return not self.faults


def append(db: sqlite3.Connection, who: str, what: str, **detail: object) -> None:
    """Add a row within the caller's transaction, so that an act and its record are durable together or not at all."""
    last = db.execute("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
    seq, previous = (last[0] + 1, last[1]) if last else (1, _GENESIS)
    at, text = wall(), json.dumps(detail, sort_keys=True, ensure_ascii=False, allow_nan=False)
    digest = _hash(seq, at, who, what, text, previous)
    db.execute("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?)", (seq, at, who, what, text, previous, digest))


def entries(home: Home) -> list[Entry]:
    """The whole trail, oldest first, unchecked. Raises ``UnavailableError`` if the journal cannot be read."""
    return [Entry(**{**dict(row), "detail": json.loads(row["detail"])}) for row in _rows(home)]


def verify(home: Home, *, head: str | None = None) -> Verification:
    """Check every row's hash and its bond to the one before; with ``head``, also that a row seen earlier is there."""
    faults: list[str] = []
    rows = _rows(home)
    previous = _GENESIS
    for number, row in enumerate(rows, start=1):
        if row["seq"] != number:
            faults.append(f"row {number} is missing: the trail goes on with {row['seq']}")
            break
        if row["previous"] != previous:
            faults.append(f"row {number} does not follow the row before it")
            break
        expected = _hash(row["seq"], row["at"], row["who"], row["what"], row["detail"], row["previous"])
        if row["hash"] != expected:
            faults.append(f"row {number} was edited")
            break
        previous = row["hash"]
    if head is not None and head not in {row["hash"] for row in rows}:
        faults.append(f"no row has the hash {head}: the trail was cut off or rewritten")
    return Verification(len(rows), rows[-1]["hash"] if rows else _GENESIS, tuple(faults))


def _rows(home: Home) -> list[sqlite3.Row]:
    store = Store(home.journal)
    try:
        return store.read("SELECT seq, at, who, what, detail, previous, hash FROM audit ORDER BY seq")
    finally:
        store.close()


def _hash(seq: int, at: str, who: str, what: str, detail: str, previous: str) -> str:
    row = json.dumps([seq, at, who, what, detail, previous], ensure_ascii=False)
    return hashlib.sha256(row.encode("utf-8", "surrogatepass")).hexdigest()
