"""What the audit trail says of runs and faults, and whether the tables still hold it. Standard library only."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from executor.errors import plain
from executor.state.rows import injection_of, record_digest, run_of
from executor.state.store import Store

Said = dict[str, list[dict[str, Any]]]
"""What the trail says, by what was done, oldest first; each with ``who`` did it and, in order, as which ``seq``."""

_OF_RUNS = {
    **{name: name for name in ("environment", "nonce", "pid", "start_ticks", "boot_id")},
    **{name: name for name in ("instances", "services", "faults")},
    "plan": "plan_digest",
}
_OF_FAULTS = ("run", "kind", "subject", "action", "experiment", "trial", "boot_id")
"""Names in the trail, and of columns. Rows of an earlier Murphy lack some: then nothing is known of those."""


def forgotten(store: Store, rows: Sequence[Mapping[str, Any]]) -> str:
    """What the trail says and the tables no longer hold, or hold otherwise, in words; empty if nothing is.

    Raises ``UnavailableError`` if the tables cannot be read.
    """
    said: Said = {what: [] for what in ("run_started", "occupied", "run_finished", "armed")}
    life: dict[Any, list[dict[str, Any]]] = {}
    try:
        for row in rows:
            detail = {**json.loads(row["detail"]), "who": row["who"], "what": row["what"]}
            if row["what"] in said:
                said[row["what"]].append(detail)
            elif row["what"] in ("injected", "reverted", "revert_owed"):
                life.setdefault(detail.get("injection"), []).append(detail)
        return _unread(store) or _runs(store, said) or _faults(store, said, life)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        return f"the tables cannot be compared with the audit trail ({type(error).__name__}: {error})"


def _runs(store: Store, said: Said) -> str:
    runs = {row["run"]: row for row in store.read("SELECT *, CAST(targets AS BLOB) AS reach FROM runs")}
    begun = {detail.get("run"): detail for detail in said["run_started"]}
    reach = {detail.get("run"): detail.get("reach") for detail in (*said["run_started"], *said["occupied"])}
    if what := _uses(store, begun):
        return what
    for run in begun:
        if run not in runs:
            return f"the journal has forgotten the run {run}"
    ended = {detail.get("run"): detail.get("outcome") for detail in said["run_finished"]}
    for run, row in runs.items():
        if run not in begun:
            return f"the journal holds the run {run}, and nobody began it"
        if row["outcome"] != ended.get(run):
            held = row["outcome"] or "under way"
            return f"the journal holds the run {run} as {held}, and it was {_as(ended.get(run))}"
        for name, column in _OF_RUNS.items():
            if name in begun[run] and not _same(begun[run][name], row[column]):
                return f"the journal holds another {column} of the run {run} than it began with"
        if reach[run] not in (None, _digest(row["reach"])):
            return f"the journal holds another reach of the run {run} than was written"
    return ""


def _uses(store: Store, begun: Mapping[Any, Mapping[str, Any]]) -> str:
    held = {(row["nonce"], row["use"], row["run"]) for row in store.read("SELECT nonce, use, run FROM approvals")}
    told = {(detail.get("nonce"), detail.get("use", 1), run) for run, detail in begun.items()}
    for _nonce, _use, run in told - held:
        return f"the journal has forgotten that {run} used its approval"
    for nonce, use, run in held - told:
        return f"the journal holds use {use} of the approval {nonce} by {run}, and nobody used it"
    return ""


def _as(outcome: str | None) -> str:
    return f"ended as {outcome}" if outcome else "never ended"


def _same(said: Any, held: Any) -> bool:
    return type(said) is type(held) and bool(said == held)


def _digest(held: Any) -> str:
    return record_digest(held) if isinstance(held, bytes) else ""


def _faults(store: Store, said: Said, life: Mapping[Any, Sequence[Mapping[str, Any]]]) -> str:
    rows = store.read("SELECT *, CAST(record AS BLOB) AS bytes FROM injections")
    faults = {row["mark"]: row for row in rows}
    armed = {detail.get("mark"): detail for detail in said["armed"]}
    for mark in armed:
        if mark not in faults:
            return f"the journal has forgotten the fault {mark}"
    for mark, fault in faults.items():
        if mark not in armed:
            return f"the journal holds the fault {mark}, and nobody armed it"
        told = armed[mark]
        for name in _OF_FAULTS:
            if name in told and not _same(told[name], fault[name]):
                return f"the journal holds another {name} of the fault {mark} than was armed"
        if "injection" in told and not _same(told["injection"], fault["id"]):
            return f"the journal holds another id of the fault {mark} than was armed"
        if what := _otherwise(fault, told, life.get(fault["id"], ())):
            return f"the journal holds {what}"
    return ""


def _otherwise(fault: Any, armed: Mapping[str, Any], life: Sequence[Mapping[str, Any]]) -> str:
    """What of a fault's record, state and end is not what became of it, in words."""
    mark = fault["mark"]
    record, states, by, error = armed.get("record"), {"armed"}, "", ""
    for detail in life:
        if detail["what"] == "injected":
            record = detail.get("record")
            states = {"armed"} if detail.get("fenced") else {"injected"}
        elif detail["what"] == "reverted":
            states, by, error = {"reverted"}, detail["who"], ""
        else:
            states, error = {"owed"}, detail.get("error", "")
    if record not in (None, _digest(fault["bytes"])):
        return f"another record of the fault {mark} than was written"
    if fault["state"] not in states:
        if fault["state"] == "reverted" and not by:
            return f"the fault {mark} as reverted, and nobody reverted it"
        return f"the fault {mark} as {fault['state']}, and it was {'/'.join(states)}"
    if not _same(by, fault["by"]):
        return f"the fault {mark} as reverted by {fault['by']!r}, and it was by {by!r}"
    if not _same(plain(error), fault["error"]):
        return f"another error of the fault {mark} than was written"
    return ""


def _unread(store: Store) -> str:
    """Rows that nobody can have written so."""
    of_runs = (run_of(row).unread for row in store.read("SELECT * FROM runs ORDER BY rowid"))
    of_faults = (injection_of(row).unread for row in store.read("SELECT * FROM injections ORDER BY id"))
    return next((what for what in (*of_runs, *of_faults) if what), "")
