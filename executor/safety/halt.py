"""Halt everything, now. A file is the flag: it needs no service, no database, no event loop. Standard library only."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import dataclass

from executor.clock import wall
from executor.durable import sync_directory, write
from executor.errors import UnavailableError
from executor.home import Home
from executor.journal import Journal
from executor.person import whoami
from executor.reading import read


@dataclass(frozen=True)
class Halted:
    """Who halted everything, when and why."""

    since: str
    reason: str
    by: str


def halt(home: Home, reason: str, *, by: str | None = None) -> Halted:
    """Raise the flag: every run reverts all it did and ends, and no run begins until ``resume``.

    The flag is durable on return; reverting goes on (see ``settled``). Halting twice keeps the first reason.
    Raises ``UnavailableError`` if the flag cannot be written.
    """
    before = halted(home)
    if before and home.halt_file.exists():  # one that merely cannot be read now may not be there
        return before
    flag = Halted(wall(), reason, by or whoami())
    try:
        write(home.halt_file, json.dumps(vars(flag)).encode())
    except OSError as error:
        with suppress(OSError):  # on a full disk an empty file may still be possible, and it halts as well
            home.halt_file.touch()
        if not home.halt_file.exists():
            raise UnavailableError(f"cannot halt: {error.strerror}.", where=str(home.halt_file)) from error
    _audit(home, flag.by, "halted", reason=reason)
    return flag


def resume(home: Home, *, by: str | None = None) -> bool:
    """Lower the flag, so that runs may begin again; returns whether it was up."""
    try:
        home.halt_file.unlink()
    except FileNotFoundError:
        return False
    sync_directory(home.path)
    _audit(home, by or whoami(), "resumed")
    return True


def halted(home: Home) -> Halted | None:
    """The flag, if it is up. A flag that cannot be read is up."""
    try:
        return Halted(**json.loads(read(home.halt_file)))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, RecursionError):
        return Halted("unknown", "the halt file cannot be read", "unknown")


def settled(home: Home, *, within_s: float = 30.0) -> list[str]:
    """Wait until no fault of any run is left, ``within_s`` seconds at most; returns, in words, what still is."""
    deadline = time.monotonic() + within_s
    journal = Journal(home.journal)
    try:
        while True:
            left = [str(injection) for injection in journal.pending()]
            if not left or time.monotonic() >= deadline:
                return left
            time.sleep(0.02)
    finally:
        journal.close()


def _audit(home: Home, who: str, what: str, **detail: object) -> None:
    # Halting must work where the journal does not, so its row is written if it can be.
    with suppress(UnavailableError):
        journal = Journal(home.journal, busy_s=1.0)
        try:
            journal.note(who, what, **detail)
        finally:
            journal.close()
