"""What the journal holds, as values, whatever somebody may have put there. Standard library only."""

from __future__ import annotations

import hashlib
import json
import math
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from executor.clock import boottime, start_ticks, whereabouts

LEASE_S_MAX: Final = 120.0
"""The longest lease that limits may allow, seconds."""
ELSEWHERE: Final = (
    "it ran in another pid or time namespace (a container, say), where alone its processes can be told; "
    "run murphy recover where it ran, or murphy recover --gone if that is gone for good"
)
"""Why nothing is done about a run that may go on, or may have died, where its pids mean other processes than here."""
_LARGEST: Final = 2**63 - 1
"""What SQLite keeps as a whole number."""
_KINDS: Final[dict[str, type | tuple[type, ...]]] = {
    **dict.fromkeys(("id", "trial", "pid", "start_ticks", "instances", "services", "faults"), int),
    "expires": (int, float),
}
"""Of the columns; the others are text."""
_RUN = ("run", "pid", "start_ticks", "boot_id", "instances", "services", "faults")
_INJECTION = (
    *("id", "run", "experiment", "trial", "action", "kind", "subject", "mark"),
    *("state", "expires", "boot_id", "error", "by"),
)


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
    bodies: tuple[str, ...] = ()
    """What its targets were seen to be, the very processes and machines, whatever the system calls them: each as its
    kind and number, and after a ``/`` what tells it from a later one of that number."""

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
    """Where it runs, as ``executor.clock.here`` says there: the boot, and the namespaces of pids and time."""
    reach: Reach
    unread: str = ""
    """What of its row cannot be read, in words. Whatever that is stands for nothing here: no reach, no process."""

    @property
    def alive(self) -> bool:
        """Whether its executor still runs."""
        return whereabouts(self.boot_id) == "here" and start_ticks(self.pid) == self.start_ticks

    @property
    def elsewhere(self) -> bool:
        """Whether it cannot be told here if its executor runs."""
        return whereabouts(self.boot_id) == "elsewhere"


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
    """Where the processes in its record are, as with a run's."""
    error: str
    by: str
    """Who reverted it."""
    unread: str = field(default="", kw_only=True)
    """What of its row cannot be read, in words. Without the record, or the time, of its lease it counts as lapsed."""

    @property
    def lapsed(self) -> bool:
        """Whether its lease has ended. One that goes on for longer than any can was not written by us.

        Of one from elsewhere it is not known: ``CLOCK_BOOTTIME`` may be another there.
        """
        where = whereabouts(self.boot_id)
        return where == "gone" or (where == "here" and not 0 < self.expires - boottime() <= LEASE_S_MAX)

    @property
    def elsewhere(self) -> bool:
        """Whether its record names processes that are none of ours, so that it can neither be looked at nor undone."""
        return whereabouts(self.boot_id) == "elsewhere"

    def __str__(self) -> str:
        return f"{self.kind} on {self.subject} (run {self.run}, mark {self.mark})"


def mark_stem(run: str) -> str:
    """What all marks of a run begin with; a number follows."""
    return f"murphy-{run.removeprefix('run-')}-"


def record_digest(text: bytes) -> str:
    """``sha256:<64 hex>`` over a record as the journal keeps it."""
    return "sha256:" + hashlib.sha256(text).hexdigest()


def run_of(row: sqlite3.Row) -> RunRow:
    """A run from its row. Raises nothing: what cannot be read is said in ``unread``."""
    values, wrong = _values(row, _RUN)
    try:
        predicted = _predicted(dict(row).get("targets"))
    except (ValueError, TypeError, RecursionError):
        predicted = {"targets": ()}
        wrong.append("targets")
    counts = {name: values.pop(name) for name in ("instances", "services", "faults")}
    wrong += [name for name, value in counts.items() if value < 0]
    return RunRow(**values, reach=Reach(**counts, **predicted), unread=_said("runs", values["run"], wrong))


def injection_of(row: sqlite3.Row) -> Injection:
    """An injection from its row. Raises nothing: what cannot be read is said in ``unread``."""
    values, wrong = _values(row, _INJECTION)
    try:
        record = json.loads(dict(row).get("record"))  # type: ignore[arg-type] # whatever it is
    except (ValueError, TypeError, RecursionError):
        record = None
    if not isinstance(record, dict):
        record = {}
        wrong.append("record")
    return Injection(**values, record=record, unread=_said("injections", values["mark"], wrong))


def _values(row: sqlite3.Row, names: tuple[str, ...]) -> tuple[dict[str, Any], list[str]]:
    """The columns, and which are not what they must be: a number is 0 then, and anything else is shown as text."""
    found, values, wrong = dict(row), {}, []
    for name in names:
        value, kind = found.get(name), _KINDS.get(name, str)
        if not isinstance(value, kind) or (isinstance(value, float) and math.isnan(value)):
            wrong.append(name)
            value = str(value) if kind is str else 0
        values[name] = value
    return values, wrong


def _predicted(text: Any) -> dict[str, Any]:
    """All of a reach but the counts. Raises ``ValueError`` or ``TypeError`` for what is none."""
    kept = json.loads(text)
    if isinstance(kept, list):  # as it was kept before anything was predicted
        kept = {"targets": kept}
    if not isinstance(kept, Mapping) or "targets" not in kept:
        raise TypeError("it is no object with targets")
    values: dict[str, Any] = {}
    for name, value in kept.items():
        if name in ("traffic", "protected"):
            if not (isinstance(value, int | float) and 0 <= value <= _LARGEST):
                raise ValueError("it is no share")
            values[name] = value
        elif name in ("targets", "struck", "leans", "bodies"):
            if not (isinstance(value, list) and all(isinstance(each, str) for each in value)):
                raise ValueError("it is no list of names")
            values[name] = tuple(value)
        else:
            raise ValueError("it is no part of a reach")
    return values


def _said(table: str, name: str, wrong: list[str]) -> str:
    return f"the row of {name} in the table {table} cannot be read ({', '.join(wrong)})" if wrong else ""
