"""Undo one fault, or many, from the journal alone: the same code in the executor, the watchdog and ``murphy recover``.

Standard library and behaviours only.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from executor import undo_notes
from executor.clock import start_ticks
from executor.drivers import process
from executor.errors import UnavailableError
from executor.faults.behaviour import Behaviour
from executor.faults.registry import behaviour
from executor.home import Home
from executor.journal import Injection, Journal

BACKOFF_S = (0.0, 0.1, 0.4, 1.0)
"""Waits before each attempt, seconds."""
_GONE_WITHIN_S = 1.0
"""How long after a revert the target may take to be seen free of the fault."""
_PID_BYTES = 10
_CLAIM_S = 60.0
"""How long to wait for another process that is reverting the same fault. One that stands still is not waited for."""


@dataclass(frozen=True)
class Undone:
    """What became of one revert."""

    injection: Injection
    verified: bool
    """The target itself says that the fault is gone."""
    error: str = ""
    """Why it is still owed; empty if it is not."""

    @property
    def reverted(self) -> bool:
        """Whether nothing is owed."""
        return not self.error


def undo(journal: Journal, home: Home, injection: Injection, *, by: str, again: bool = False) -> Undone:
    """Revert one injection and ask the target whether it is gone; tries a few times, then it is *owed* in the journal.

    Blocks for some seconds at most beyond what the behaviour's own ``revert`` takes. ``again`` reverts even what the
    journal holds as reverted. Raises nothing for a revert that fails.
    """
    error = ""
    with _claim(home, injection):
        current = _current(journal, injection)
        if current.state == "reverted" and not again:
            undo_notes.drop(home, current)
            return Undone(current, verified=True)
        for wait in BACKOFF_S:
            time.sleep(wait)
            error = _attempt(current)
            if not error:
                undo_notes.drop(home, current)
                with suppress(UnavailableError):  # what is undone is undone; whoever can write it down does it again
                    journal.reverted(current.id, by=by, verified=True)
                return Undone(current, verified=True)
        with suppress(UnavailableError):
            journal.owe(current.id, error, by=by)
    return Undone(current, verified=False, error=f"{current}: {error}")


def undo_all(
    journal: Journal, home: Home, injections: Sequence[Injection], *, by: str, again: bool = False, each_s: float = 20.0
) -> list[Undone]:
    """Revert all, each target's faults in reverse order and different targets side by side.

    One that raises or hangs stops no other: what takes longer than ``each_s`` seconds a fault is reported as owed,
    while its thread may still finish. Returns one result for each injection.
    """
    results: dict[int, Undone] = {}
    subjects: defaultdict[str, list[Injection]] = defaultdict(list)
    for injection in sorted(injections, key=lambda i: i.id, reverse=True):
        subjects[injection.subject].append(injection)

    def work(chain: list[Injection]) -> None:
        for injection in chain:
            try:
                results[injection.id] = undo(journal, home, injection, by=by, again=again)
            except Exception as error:  # noqa: BLE001 - whatever it is, the other reverts go on
                results[injection.id] = Undone(injection, verified=False, error=f"{injection}: {error}")

    threads = [threading.Thread(target=work, args=(chain,), daemon=True) for chain in subjects.values()]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + each_s * max(map(len, subjects.values()), default=0)
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    late = "reverting takes too long"
    return [results.get(i.id) or Undone(i, verified=False, error=f"{i}: {late}") for i in injections]


def _current(journal: Journal, injection: Injection) -> Injection:
    """As it is recorded now; as it was read before, where the journal cannot be read: undoing does not wait for it."""
    try:
        return journal.injection(injection.id)
    except UnavailableError:
        return injection


def _attempt(injection: Injection) -> str:
    """Revert once; returns what went wrong."""
    try:
        how = behaviour(injection.kind)
        how.revert(injection.record)
        return "" if _gone(how, injection) else "the target still shows the fault, or cannot be asked"
    except Exception as error:  # noqa: BLE001 - it is recorded as owed and reported
        return f"{type(error).__name__}: {error}"


def _gone(how: Behaviour, injection: Injection) -> bool:
    deadline = time.monotonic() + _GONE_WITHIN_S
    while how.active(injection.record) is not False:
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.02)
    return True


@contextmanager
def _claim(home: Home, injection: Injection) -> Iterator[None]:
    """Keep two processes from reverting one fault at a time (a crash would be restarted twice)."""
    try:
        path: Path = home.scratch(injection.run) / f"{injection.mark}.lock"
        handle = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError:  # on a full disk undoing twice is better than not at all
        yield
        return
    try:
        deadline = time.monotonic() + _CLAIM_S
        while time.monotonic() < deadline and not _stands_still(handle):
            with suppress(BlockingIOError):
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                with suppress(OSError):  # on a full disk the claim holds all the same; only its holder stays unknown
                    os.pwrite(handle, f"{os.getpid():>{_PID_BYTES}}".encode(), 0)
                break
            time.sleep(0.01)
        yield
    finally:
        os.close(handle)


def _stands_still(handle: int) -> bool:
    """Whether the process that holds the claim is stopped: it may never go on."""
    try:
        holder = int(os.pread(handle, _PID_BYTES, 0) or 0)
        ticks = start_ticks(holder) if holder else None
        return ticks is not None and process.state(holder, ticks) in ("T", "t")
    except (OSError, ValueError):
        return False
