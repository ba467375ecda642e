"""Whether the journal still is what Murphy wrote: nothing taken away, nothing forgotten. Standard library only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from executor.errors import SafetyRefusalError
from executor.state import anchor, schema
from executor.state.chain import broken, rows_of
from executor.state.rows import injection_of, record_digest, run_of
from executor.state.store import Store

Said = dict[str, list[dict[str, Any]]]
"""What the trail says, by what was done, oldest first."""
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
        mark = anchor.read(anchor.place(store.path))  # before the trail, which may grow meanwhile
    except (OSError, ValueError) as error:
        return f"the audit trail's anchor cannot be read: {error}"
    with store.still():
        rows = rows_of(store)
        return broken(rows) or _behind(rows, mark) or _forgotten(store, rows) or _unread(store) or _meddling(store)


def _behind(rows: Sequence[dict[str, Any]], mark: anchor.Mark | None) -> str:
    if mark is None:
        return "the audit trail's anchor is gone"
    if len(rows) < mark.seq:
        return f"the audit trail has {len(rows)} rows, and {mark.seq} were written"
    if mark.seq and rows[mark.seq - 1]["hash"] != mark.hash:
        return f"row {mark.seq} of the audit trail is not the one that was written"
    return ""


def _forgotten(store: Store, rows: Sequence[dict[str, Any]]) -> str:
    """What the trail says and the tables no longer hold, or hold otherwise."""
    said: Said = {what: [] for what in ("run_started", "run_finished", "armed", "injected", "reverted")}
    for row in rows:
        if row["what"] in said:
            said[row["what"]].append(json.loads(row["detail"]))
    return _runs(store, said) or _faults(store, said)


def _runs(store: Store, said: Said) -> str:
    used = {(row["nonce"], row["use"], row["run"]) for row in store.read("SELECT nonce, use, run FROM approvals")}
    runs = {row["run"]: row["outcome"] for row in store.read("SELECT run, outcome FROM runs")}
    for detail in said["run_started"]:
        if (detail.get("nonce"), detail.get("use", 1), detail.get("run")) not in used:
            return f"the journal has forgotten that {detail.get('run')} used its approval"
        if detail.get("run") not in runs:
            return f"the journal has forgotten the run {detail.get('run')}"
    ended = {detail.get("run"): detail.get("outcome") for detail in said["run_finished"]}
    for run, outcome in runs.items():
        if outcome != ended.get(run):
            return f"the journal holds the run {run} as {outcome or 'under way'}, and it was {_as(ended.get(run))}"
    return ""


def _as(outcome: str | None) -> str:
    return f"ended as {outcome}" if outcome else "never ended"


def _faults(store: Store, said: Said) -> str:
    rows = store.read("SELECT id, mark, run, kind, subject, state, CAST(record AS BLOB) AS record FROM injections")
    faults = {row["mark"]: row for row in rows}
    armed = {detail.get("mark"): detail for detail in said["armed"]}
    # Rows of an earlier Murphy have no digest: then nothing is known of the record.
    records = {detail.get("injection"): detail.get("record") for detail in said["injected"]}
    undone = {detail.get("injection") for detail in said["reverted"]}
    for mark in armed:
        if mark not in faults:
            return f"the journal has forgotten the fault {mark}"
    for mark, fault in faults.items():
        if mark not in armed:
            return f"the journal holds the fault {mark}, and nobody armed it"
        for name in ("run", "kind", "subject"):
            if armed[mark].get(name) != fault[name]:
                return f"the journal holds another {name} of the fault {mark} than was armed"
        record = records.get(fault["id"], armed[mark].get("record"))
        if record not in (None, record_digest(fault["record"])):
            return f"the journal holds another record of the fault {mark} than was written"
        if fault["state"] == "reverted" and fault["id"] not in undone:
            return f"the journal holds the fault {mark} as reverted, and nobody reverted it"
    return ""


def _unread(store: Store) -> str:
    """Rows that nobody can have written so."""
    of_runs = (run_of(row).unread for row in store.read("SELECT * FROM runs ORDER BY rowid"))
    of_faults = (injection_of(row).unread for row in store.read("SELECT * FROM injections ORDER BY id"))
    return next((what for what in (*of_runs, *of_faults) if what), "")


def _meddling(store: Store) -> str:
    """What would keep the trail from being written from now on, unseen."""
    for row in store.read("SELECT name, sql FROM sqlite_master WHERE type IN ('trigger', 'view') ORDER BY name"):
        if row["sql"] not in schema.TRIGGERS:
            return f"the journal holds a trigger or a view, {row['name']}, that Murphy did not make"
    return ""
