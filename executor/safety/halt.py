"""Halt everything, now. A file is the flag: it needs no service, no database, no event loop. Standard library only."""

from __future__ import annotations

import getpass
import json
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from executor.clock import wall
from executor.errors import UnavailableError
from executor.home import Home
from executor.journal import Journal


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
    flag = Halted(wall(), reason, by or _user())
    temporary = home.halt_file.with_suffix(f".{os.getpid()}")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(vars(flag), file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(home.halt_file)
        _sync_directory(home.path)
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
    _sync_directory(home.path)
    _audit(home, by or _user(), "resumed")
    return True


def halted(home: Home) -> Halted | None:
    """The flag, if it is up. A flag that cannot be read is up."""
    try:
        return Halted(**json.loads(home.halt_file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError):
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


def _sync_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
