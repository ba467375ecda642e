"""The chain of the audit trail: each row is bound to the one before by its hash. Standard library only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from executor.state.anchor import BEGINNING
from executor.state.store import Store

HASHED = ("seq", "at", "who", "what", "detail", "previous")
FIELDS = (*HASHED, "hash")
_BYTES = ", ".join(f"CAST({name} AS BLOB)" for name in FIELDS[1:])
_ALL = f"SELECT seq, {_BYTES} FROM audit ORDER BY seq"  # noqa: S608 - constant text


def hash_of(row: Mapping[str, Any]) -> str:
    """The hash that a row must have: over all its other fields, as text and in order."""
    text = json.dumps([row[name] for name in HASHED], ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def rows_of(store: Store) -> list[dict[str, Any]]:
    """The whole trail, oldest row first, whatever somebody may have put there. Raises ``UnavailableError``."""
    return [dict(zip(FIELDS, [row[0], *map(_text, row[1:])], strict=True)) for row in store.read(_ALL)]


def broken(rows: Iterable[Mapping[str, Any]]) -> str:
    """Where the chain first breaks, and how; empty if it is whole. What is missing at its end does not show here."""
    previous = BEGINNING.hash
    for number, row in enumerate(rows, start=1):
        if row["seq"] != number:
            return f"row {number} is missing: the trail goes on with {row['seq']}"
        if row["previous"] != previous:
            return f"row {number} does not follow the row before it"
        if row["hash"] != hash_of(row):
            return f"row {number} was edited"
        previous = row["hash"]
    return ""


def _text(value: object) -> str:
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)
