"""A second durable copy of each fault's revert, beside the journal: one file a fault, in its run's directory.

What the journal is, should it be lost. A note is on disk before the fault begins and goes once it is reverted. Its
modification time is the end of the lease on ``CLOCK_BOOTTIME``, as with helpers, and its mode tells whether the fault
is being made at this moment: neither needs room on the disk, or a wait for it. Standard library only.
"""

from __future__ import annotations

import json
import os
import stat
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from executor.clock import boottime, own_ticks, start_ticks, whereabouts
from executor.errors import InputError, UnavailableError
from executor.kernel import holding
from executor.state.durable import write
from executor.state.home import Home
from executor.state.journal import Injection
from executor.state.reading import read
from executor.state.rows import LEASE_S_MAX, record_digest

_PREFIX = "undo-"
_KINDS: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("id", "trial", "holder", "holder_ticks"), int),
    "expires": (int, float),
    "record": dict,
    "making": bool,
}
"""Of a note's fields; the others are text."""
_MADE, _MAKING = 0o600, 0o700

_undone_meanwhile: dict[Path, bool] = {}
"""Notes of faults that threads of this process are making, and whether the fault was undone since it was noted."""
_lock = threading.Lock()


@dataclass(frozen=True)
class Note(Injection):
    """An injection as it was noted, and the process that holds it. ``expires`` is as it was last renewed."""

    holder: int
    holder_ticks: int
    making: bool = False
    """Whether a thread of the holder was making it when the note was read."""

    @property
    def held(self) -> bool:
        """Whether a run that goes on holds it: its process lives, does not stand still, and renews the lease.

        Of one from elsewhere it is not known.
        """
        return holding.hold(self.holder, self.holder_ticks, self.left_s, place=self.boot_id) == "held"

    @property
    def left_s(self) -> float:
        """Seconds until the lease lapses; 0 once it has."""
        return 0.0 if self.lapsed else max(0.0, self.expires - boottime())

    @property
    def being_made(self) -> bool:
        """Whether a living process is making it, with its lease or without: it may be there only later."""
        here = self.making and whereabouts(self.boot_id) == "here"
        return here and start_ticks(self.holder) == self.holder_ticks


def keep(home: Home, injection: Injection, record: Mapping[str, Any]) -> None:
    """Write down how the fault is undone, for a run of this process; durable on return, for its owner only.

    What is being made still says so: else whoever undoes it meanwhile would take the note away. A lease that was
    renewed since the fault was armed is not shortened: making one may take longer than its lease.
    Raises ``UnavailableError`` if it cannot be written; an older note of the fault is as it was then.
    """
    path = _path(home, injection)
    end = max(injection.expires, _renewed(path))
    fields = asdict(injection) | {"record": dict(record), "expires": end}
    del fields["unread"]  # of a row, and a note has none
    fields |= {"holder": os.getpid(), "holder_ticks": own_ticks()}
    try:
        making = path in _undone_meanwhile
        write(path, _summed(fields), mode=_MAKING if making else _MADE)
        os.utime(path, (end, end))
        with _lock:
            if path in _undone_meanwhile:
                _undone_meanwhile[path] = False
    except OSError as error:
        raise UnavailableError(
            f"how to undo the fault cannot be written down: {error.strerror}.",
            where=str(path),
            hint="Is the disk full or read-only?",
        ) from error


def making(home: Home, injection: Injection) -> None:
    """From now until ``made`` a thread of this process makes the fault: its note stays, even if the fault is undone.

    For the thread may be given up, and make it after that. Others see that it is being made, and whoever outlives this
    process knows of it. Raises ``UnavailableError`` if nothing is noted any more: somebody has undone it already.
    """
    path = _path(home, injection)
    with _lock:
        _undone_meanwhile[path] = False
    try:
        path.chmod(_MAKING)
    except OSError as error:
        raise UnavailableError(
            f"it is not noted any more how to undo it: {error.strerror}.", where=str(path)
        ) from error


def made(home: Home, injection: Injection) -> None:
    """The thread has come to its end; what was undone since the last ``keep`` is noted no longer."""
    with _lock:
        undone = _undone_meanwhile.pop(_path(home, injection))
    if undone:
        drop(home, injection)
    else:
        with suppress(OSError):  # nothing is noted where somebody else has undone it
            _path(home, injection).chmod(_MADE)


def renew(home: Home, injections: Iterable[Injection], lease_s: float) -> None:
    """Push the notes' leases to ``lease_s`` seconds from now. One that is gone stays gone."""
    end = boottime() + lease_s
    for injection in injections:
        with suppress(OSError):  # it lapses then, which undoes a fault too early, never too late
            os.utime(_path(home, injection), (end, end))


def drop(home: Home, injection: Injection) -> None:
    """Forget a fault that is undone. Idempotent; one that cannot be removed is undone again, which changes nothing.

    One that another process is making stays noted: that process undoes it once more, and forgets it.
    """
    try:
        path = _path(home, injection)
    except (InputError, ValueError):  # the row was damaged: no note has such a name
        return
    with _lock:
        if path in _undone_meanwhile:
            _undone_meanwhile[path] = True
            return
    if (note := _read(path)) is not None and note.being_made and note.holder != os.getpid():
        return
    with suppress(OSError, ValueError):
        path.unlink(missing_ok=True)


def noted(home: Home, injection: Injection) -> Note | None:
    """The note of a fault; ``None`` if it is undone, was never noted, or its note cannot be read."""
    try:
        return _read(_path(home, injection))
    except (InputError, ValueError):  # the row was damaged: no note has such a name
        return None


def as_noted(home: Home, injection: Injection) -> Injection | None:
    """The injection with what was learned by making it, and whether it is undone, where its note says so.

    What undoes it is the note's, whatever the journal says.
    """
    if (note := noted(home, injection)) is None:
        return None
    record = {**injection.record, **note.record}
    return replace(injection, record=record, state=note.state, kind=note.kind, boot_id=note.boot_id, unread="")


def left(home: Home, run: str | None = None) -> list[Note]:
    """What is noted and not undone, of one run or of all, oldest first. Those that cannot be read are left out."""
    found = (_read(path) for path in _paths(home, run))
    return sorted((note for note in found if note is not None), key=lambda note: (note.run, note.id))


def unreadable(home: Home) -> list[Path]:
    """Notes that cannot be read: another user's, or damaged."""
    return [path for path in _paths(home, None) if _read(path) is None and path.exists()]


def _path(home: Home, injection: Injection) -> Path:
    return _beside(home.run_dir(injection.run, make=False), injection)


def _beside(directory: Path, injection: Injection) -> Path:
    return directory.with_name(injection.run) / _name(injection)


def _name(injection: Injection) -> str:
    return f"{_PREFIX}{injection.mark}.json"


def _renewed(path: Path) -> float:
    """The end of the lease that a note has by now; 0 if there is none."""
    with suppress(OSError):
        if _is_lease(stamped := path.stat().st_mtime):
            return stamped
    return 0.0


def _is_lease(stamp: float) -> bool:
    """Else it is the wall clock's time of a file that was put there and not stamped yet."""
    return stamp <= boottime() + LEASE_S_MAX


def _paths(home: Home, run: str | None) -> Iterator[Path]:
    directories = [home.run_dir(run, make=False)] if run else sorted(home.runs.glob("*"))
    return (path for directory in directories for path in sorted(directory.glob(f"{_PREFIX}*.json")))


def _sum(fields: Mapping[str, Any]) -> str:
    return record_digest(json.dumps(fields, allow_nan=False, sort_keys=True).encode())


def _summed(fields: Mapping[str, Any]) -> bytes:
    """As it is written: with its sum, so that one wrong digit is not taken for how to undo something else."""
    return json.dumps({**fields, "sum": _sum(fields)}, allow_nan=False).encode()


def _whole(fields: dict[str, Any]) -> dict[str, Any]:
    """Without the sum. Raises ``ValueError`` if they are not what it was made of, ``KeyError`` if there is none."""
    said = fields.pop("sum")
    if said != _sum(fields):
        raise ValueError("it is not as it was written")
    return fields


def _read(path: Path) -> Note | None:
    try:
        fields = _whole(json.loads(read(path)))
        status = path.stat()
        if _is_lease(status.st_mtime):
            fields["expires"] = status.st_mtime
        fields["making"] = bool(status.st_mode & stat.S_IXUSR)
        note = Note(**fields)
        whole = all(isinstance(value, _KINDS.get(name, str)) for name, value in fields.items())
        return note if whole and path.parent.name == note.run and path.name == _name(note) else None
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return None
