"""Whether the journal still is what Murphy wrote: nothing taken away, nothing forgotten. Standard library only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from executor.errors import SafetyRefusalError, UnavailableError
from executor.state import anchor, schema
from executor.state.chain import broken, rows_of
from executor.state.store import Store
from executor.state.vouched import forgotten

LOOK = (
    "Look into who did that; then move the journal away with all that belongs to it (journal.db*). Approvals given"
    " until now are void then, and murphy keys accept takes the list of keys. murphy recover --sweep undoes faults that"
    " no journal knows of."
)


def refuse_altered(store: Store) -> None:
    """Raise ``SafetyRefusalError`` for a journal that is not as it was written: it may forget what was used."""
    if what := altered(store):
        raise SafetyRefusalError("audit trail", measured=what, limit="a journal with all that was written", hint=LOOK)
    store.move_anchor()


def lost(journal: Path) -> str:
    """What is not as it was written where no journal is, in words; empty if nothing was ever written."""
    try:
        mark = anchor.read(anchor.place(journal))
    except (OSError, ValueError) as error:
        return f"the audit trail's anchor cannot be read: {error}"
    return _behind((), mark) if mark else ""


def altered(store: Store) -> str:
    """What is not as it was written, in words; empty if nothing is.

    Asks the trail's own hashes, its anchor, and the tables, which must hold what the trail says. What neither of them
    shows is a trail rewritten together with its anchor: for that, keep a head elsewhere.
    Raises ``UnavailableError`` if the journal cannot be read.
    """
    try:
        mark = store.anchored_at()  # before the trail, which may grow meanwhile
    except (OSError, ValueError) as error:
        return f"the audit trail's anchor cannot be read: {error}"
    with store.still():
        rows = rows_of(store)
        return broken(rows) or _behind(rows, mark) or _meddling(store) or forgotten(store, rows)


def refuse_cut(store: Store, mark: anchor.Mark | None) -> None:
    """Raise ``UnavailableError`` if the trail lacks that row, to which it had come before the journal was opened.

    Quicker than ``altered``, for whoever is in a hurry: nothing else is looked at.
    """
    if mark is not None and not store.holds(mark):
        said = f"the journal is not the one that was written: row {mark.seq} of the audit trail is not there."
        raise UnavailableError(said, where=str(store.path), hint=LOOK)


def _behind(rows: Sequence[dict[str, Any]], mark: anchor.Mark | None) -> str:
    if mark is None:
        return "the audit trail's anchor is gone"
    if len(rows) < mark.seq:
        return f"the audit trail has {len(rows)} rows, and {mark.seq} were written"
    if mark.seq and rows[mark.seq - 1]["hash"] != mark.hash:
        return f"row {mark.seq} of the audit trail is not the one that was written"
    return ""


def _meddling(store: Store) -> str:
    """What would keep the trail from being written from now on, unseen."""
    made = {*schema.TRIGGERS, *schema.TABLES}
    held = store.read("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name")
    for row in held:
        if row["sql"] not in made:
            what = "an index" if row["type"] == "index" else f"a {row['type']}"
            return f"the journal holds {what}, {row['name']}, that Murphy did not make"
    if made - {row["sql"] for row in held}:
        return "the journal lacks a table, an index or a trigger that Murphy made"
    (whole,) = store.read("PRAGMA integrity_check(1)")  # an index may lack a row that its table has
    if whole[0] != "ok":
        return f"the journal is damaged: {whole[0]}"
    identity = [(row["key"], len(row["value"])) for row in store.read("SELECT key, value FROM meta")]
    if identity != [("identity", schema.IDENTITY_DIGITS)]:
        return "the journal has lost what tells it from others"
    return ""
