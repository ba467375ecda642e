"""The audit trail: who did what and when, each row bound to the one before by its hash. Standard library only."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from executor.clock import wall
from executor.errors import InputError, UnavailableError, plain
from executor.state.altered import altered, lost
from executor.state.anchor import BEGINNING, Mark
from executor.state.chain import FIELDS, HASHED, broken, hash_of, rows_of
from executor.state.frozen import Frozen
from executor.state.home import Home
from executor.state.reading import regular
from executor.state.store import Store, head


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
    """Add a row within the caller's transaction, so that an act and its record are durable together or not at all.

    Raises ``UnavailableError`` if the trail has not taken it: whoever can write the file can make a table that ignores.
    """
    last = head(db)
    seq, previous = last.seq + 1, last.hash
    text = json.dumps(detail, sort_keys=True, ensure_ascii=False, allow_nan=False)
    row = dict(zip(HASHED, (seq, wall(), plain(who), plain(what), plain(text), previous), strict=True))
    mark = Mark(seq, hash_of(row))
    db.execute("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?)", (*row.values(), mark.hash))
    if head(db) != mark:
        raise UnavailableError(
            "the audit trail does not take what is written to it.",
            hint="murphy audit verify says what was done to the journal.",
        )


def parsed(text: str | bytes) -> dict[str, Any]:
    """A JSON object; what is none stands in one under a name that says so."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, dict) else {"not JSON": text}


def entries(home: Home) -> list[Entry]:
    """The whole trail, oldest first, unchecked. Raises ``UnavailableError`` if the journal cannot be read."""
    with closing(_readable(home)) as store:
        return [Entry(**{**row, "detail": parsed(row["detail"])}) for row in rows_of(store)]


def export(home: Home) -> Iterator[str]:
    """The trail as JSON Lines, oldest row first: ``detail`` is the very text that went into the row's hash.

    A row's hash is the SHA-256 of the JSON array ``[seq, at, who, what, detail, previous]``, with a space after each
    comma and no character escaped that need not be. Raises ``UnavailableError`` if the journal cannot be read.
    """
    with closing(_readable(home)) as store:
        rows = rows_of(store)
    for row in rows:
        yield json.dumps(row, ensure_ascii=False)


def verify(home: Home, *, head: str | None = None) -> Verification:
    """Check every row's hash and its bond to the one before, the anchor, and that the tables hold what the trail says.

    With ``head``, also that a row seen earlier is there. Raises ``UnavailableError`` if the journal cannot be read.
    """
    if not home.journal.exists():
        return _verified([], head, lost(home.journal))
    with closing(_readable(home)) as store:
        fault = altered(store)
        return _verified(rows_of(store), head, fault)


def verify_file(path: Path, *, head: str | None = None) -> Verification:
    """Check an exported trail by itself. Rows missing at its end show only by a ``head`` that was kept elsewhere.

    Raises ``InputError`` if the file cannot be read.
    """
    rows: list[dict[str, Any]] = []
    fault = ""
    try:
        with regular(path) as file:
            for number, line in enumerate(file, start=1):
                row = parsed(line)
                if row.keys() != set(FIELDS):
                    fault = f"line {number} is no row"
                    break
                rows.append(row)
    except OSError as error:
        raise InputError(f"the exported trail cannot be read: {error.strerror}.", where=str(path)) from error
    return _verified(rows, head, broken(rows) or fault)


def _readable(home: Home) -> Store:
    """The journal's file, or a copy where it cannot be used as it is; looking changes nothing that may be evidence."""
    try:
        if home.journal.stat().st_size:
            return Store(home.journal)
        why = "it is empty"
    except FileNotFoundError as error:
        raise UnavailableError("there is no journal.", where=str(home.journal)) from error
    except OSError as error:
        raise UnavailableError(f"the journal cannot be read: {error.strerror}.", where=str(home.journal)) from error
    except UnavailableError as error:
        why = error.message
    return Frozen(home.journal, why=why)


def _verified(rows: list[dict[str, Any]], head: str | None, fault: str) -> Verification:
    faults = [fault] if fault else []
    if head is not None and head not in {row["hash"] for row in rows}:
        faults.append(f"no row has the hash {head}: the trail was cut off or rewritten")
    return Verification(len(rows), rows[-1]["hash"] if rows else BEGINNING.hash, tuple(faults))
