"""Halt everything, now. A file is the flag: it needs no service, no database, no event loop. Standard library only.

The executors undo their faults within milliseconds of seeing it, and their watchdogs where they do not. What is undone
is told by ``executor.safety.settle``. Little is loaded here: whoever halts is in a hurry (``executor.safety.flag``).
"""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from executor.errors import UnavailableError, plain
from executor.person import whoami
from executor.safety.flag import put, unaudited
from executor.state.durable import sync_directory
from executor.state.home import Home
from executor.state.reading import read

BUSY_S = 0.5
"""How long the journal is waited for, which is not needed to halt."""


@dataclass(frozen=True)
class Halted:
    """Who halted everything, when and why."""

    since: str
    reason: str
    by: str


Lowered = tuple[int, int] | None
"""What tells the flag that was lowered last from any other; ``None`` if none is known."""


def halt(home: Home, reason: str, *, by: str | None = None) -> Halted:
    """Raise the flag: every run reverts all it did and ends, and no run begins until ``resume``.

    The flag is durable on return; reverting goes on (see ``executor.safety.settle``). Halting twice keeps the first
    reason, and puts it into the audit trail if that had no row of it yet (see ``audited``). Raises
    ``UnavailableError`` if the flag cannot be written.
    """
    before = _raised(home, reason, by)
    waiting = unaudited.get(str(home.halt_file))
    if not waiting:
        return before
    flag = _told(waiting[-1])  # with its reason, for which a full disk may have had no room
    for each in [*waiting]:
        if not _audit(home, plain(each["by"]), "halted", reason=plain(each["reason"])):
            break
        with suppress(ValueError):  # another thread was quicker
            waiting.remove(each)
    return flag


def audited(home: Home) -> bool:
    """Whether the audit trail has every halt of this process; halting again tries once more."""
    return not unaudited.get(str(home.halt_file))


def _raised(home: Home, reason: str, by: str | None) -> Halted:
    before = halted(home)
    if before and home.halt_file.exists():  # one that merely cannot be read now may not be there
        return before
    try:
        return _told(put(str(home.halt_file), reason, by or whoami()))
    except OSError as error:
        raise UnavailableError(f"cannot halt: {error.strerror}.", where=str(home.halt_file)) from error


def resume(home: Home, *, by: str | None = None) -> bool:
    """Lower the flag, so that runs may begin again; returns whether it was up.

    It is kept under another name: a run that looks only now sees that it was up meanwhile. Raises ``UnavailableError``
    if it cannot be lowered.
    """
    flag = halted(home)
    try:
        if stat.S_ISDIR(home.halt_file.lstat().st_mode):  # no later flag could take its place under the other name
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        home.halt_file.rename(home.resumed_file)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise UnavailableError(
            f"cannot be removed: {error.strerror}.", where=str(home.halt_file), hint="Remove it by hand."
        ) from error
    sync_directory(home.path)
    _audit(home, by or whoami(), "resumed", halt=vars(flag) if flag else None)
    return True


def halted(home: Home) -> Halted | None:
    """The flag, if it is up. A flag that cannot be read is up."""
    return _read(home.halt_file)


def halted_since(home: Home, before: Lowered) -> Halted | None:
    """The flag, if it is up or was since ``lowered`` gave ``before``; so whoever looks now and then misses none.

    One that was removed by hand, and not by ``resume``, leaves nothing that could be seen later.
    """
    return halted(home) or (_read(home.resumed_file) if lowered(home) != before else None)


def lowered(home: Home) -> Lowered:
    """Which flag was lowered last."""
    try:
        status = home.resumed_file.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def _read(path: Path) -> Halted | None:
    try:
        content = read(path)
        if not content:
            return _by_hand(path)
        return _told(json.loads(content))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return Halted("unknown", "the halt file cannot be read", "unknown")


def _told(flag: Mapping[str, object]) -> Halted:
    return Halted(**{name: plain(str(value)) for name, value in flag.items()})


def _by_hand(path: Path) -> Halted:
    since = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    return Halted(since.isoformat(timespec="milliseconds"), "the file HALTED was put there", "somebody")


def _audit(home: Home, who: str, what: str, **detail: object) -> bool:
    # Halting must work where the journal does not, so its row is written if it can be.
    from executor.state.journal import Journal  # loading it takes longer than halting

    with suppress(UnavailableError), closing(Journal(home.journal, busy_s=BUSY_S)) as journal:
        journal.note(who, what, **detail)
        return True
    return False
