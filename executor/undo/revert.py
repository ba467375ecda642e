"""Undo one fault, or many, from the journal alone: the same code in the executor, the watchdog and ``murphy recover``.

Standard library and behaviours only.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace

from executor.clock import is_outside, start_ticks, whereabouts
from executor.errors import InputError, UnavailableError, plain
from executor.faults.behaviour import Behaviour, Record, Unclaimed, of_another_boot
from executor.faults.registry import behaviour
from executor.kernel import process
from executor.state import undo_notes
from executor.state.home import Home
from executor.state.journal import Injection, Journal
from executor.state.rows import ELSEWHERE
from executor.undo.crew import Crew

BACKOFF_S = (0.1, 0.4, 1.0)
"""Waits before each further attempt, seconds."""
EACH_S = 20.0
"""How long one revert may take until it is reported as owed; it may still come to its end."""
_GONE_WITHIN_S = 1.0
"""How long after a revert the target may take to be seen free of the fault."""
_PID_BYTES = 10
_CLAIMED = os.O_CREAT | os.O_RDWR | os.O_CLOEXEC
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
    gone: str = ""
    """What that carried the fault had gone before; empty if nothing, or if that harms nobody."""
    at: float = field(default_factory=time.monotonic)
    """When that was seen, on the monotonic clock; it may be told and written down later."""

    @property
    def reverted(self) -> bool:
        """Whether nothing is owed."""
        return not self.error

    @property
    def ago_s(self) -> float:
        """How long ago it was seen."""
        return time.monotonic() - self.at

    @property
    def why(self) -> str:
        """The same without the injection's name."""
        return self.error.removeprefix(f"{self.injection}: ")


def undo(journal: Journal, home: Home, injection: Injection, *, by: str, again: bool = False) -> Undone:
    """Revert one injection and ask the target whether it is gone; tries a few times, then it is *owed* in the journal.

    Blocks for some seconds at most beyond what the behaviour's own ``revert`` takes. ``again`` reverts even what is
    held as reverted. Raises nothing for a revert that fails.
    """
    with _claim(home, injection):
        result = _freed(journal, home, injection, by=by, again=again)
        write_down(journal, home, [result], by=by)
    return result


def undo_all(
    journal: Journal,
    home: Home,
    injections: Sequence[Injection],
    *,
    by: str,
    again: bool = False,
    each_s: float = EACH_S,
) -> list[Undone]:
    """Revert all, each target's faults in reverse order and different targets side by side, and then write it down.

    One that raises or hangs stops no other: what takes longer than ``each_s`` seconds a fault is reported as owed,
    while its thread may still finish. No target waits for the journal. Returns one result for each injection.
    """
    results = free_all(journal, home, injections, by=by, again=again, each_s=each_s)
    write_down(journal, home, results, by=by)
    return results


def free_all(
    journal: Journal,
    home: Home,
    injections: Sequence[Injection],
    *,
    by: str,
    again: bool = False,
    each_s: float = EACH_S,
    told: Callable[[Undone], object] | None = None,
) -> list[Undone]:
    """The half of ``undo_all`` that touches the targets; ``write_down`` is the other.

    ``told`` hears of each that has come to its end, in a thread of its own, at once or too late; whoever hears of it
    writes it down.
    """
    subjects: defaultdict[str, list[Injection]] = defaultdict(list)
    for injection in sorted(injections, key=lambda i: i.id, reverse=True):
        subjects[injection.subject].append(injection)

    def late(result: Undone) -> None:
        if told is None:
            write_down(journal, home, [result], by=by)

    def free(injection: Injection) -> Undone:
        try:
            with nullcontext() if _unclaimed(injection.kind) else _claim(home, injection):
                result = _freed(journal, home, injection, by=by, again=again)
        except Exception as error:  # noqa: BLE001 - whatever it is, the other reverts go on
            result = Undone(injection, verified=False, error=plain(f"{injection}: {error}"))
        if told:
            told(result)
        return result

    crew = Crew(subjects.values(), free, late=late)
    done = {result.injection.id: result for result in crew.work(each_s * max(map(len, subjects.values()), default=0))}
    return [done.get(i.id) or overdue(i) for i in injections]


def _unclaimed(kind: str) -> bool:
    try:
        return isinstance(behaviour(kind), Unclaimed)
    except Exception:  # noqa: BLE001 - the row may be damaged, and the fault's note may know better
        return False


def overdue(injection: Injection) -> Undone:
    """What is to be said of one whose revert has not come to its end in time."""
    return Undone(injection, verified=False, error=f"{injection}: reverting takes too long")


def write_down(journal: Journal, home: Home, results: Sequence[Undone], *, by: str) -> bool:
    """Write down what became of reverts; whether the journal took it.

    If not, nothing is lost: what is undone is undone, and whoever can write it down finds nothing to do at the target.
    """
    results = [result for result in results if not result.injection.elsewhere]  # a run there may go on with it
    for result in results:
        if result.reverted:
            undo_notes.drop(home, result.injection)
    undone = [result.injection.id for result in results if result.reverted and result.injection.state != "reverted"]
    try:
        if undone:
            journal.reverted_all(undone, by=by, verified=True)
        for result in results:
            if not result.reverted:
                journal.owe(result.injection.id, result.why, by=by)
    except UnavailableError:
        return False
    return True


def _freed(journal: Journal, home: Home, injection: Injection, *, by: str, again: bool) -> Undone:
    """Revert, and write nothing yet: on a busy disk even removing a file takes milliseconds.

    That somebody else has reverted it is believed only if the target says so too.
    """
    current = _current(journal, home, injection)
    if current.elsewhere:
        return Undone(current, verified=False, error=f"{current}: {ELSEWHERE}")
    if current.state == "reverted" and not again and (current.by == by or is_free(current)):
        return Undone(current, verified=True)
    if current.unread and not current.record:
        return Undone(current, verified=False, error=f"{current}: {current.unread}, nor is it noted how to undo it")
    first = _attempt(current)
    last = first
    for wait in BACKOFF_S:
        if last.reverted:
            break
        time.sleep(wait)
        last = _attempt(current)
    return replace(last, gone=first.gone)  # later ones do not find what the first has ended


def _current(journal: Journal, home: Home, injection: Injection) -> Injection:
    """With what was learned by making it, and whether somebody has undone it.

    A note beside the journal says both: no target waits for the database then. Without one the journal is asked; where
    it cannot be read, what was read before stands.
    """
    if (noted := undo_notes.as_noted(home, injection)) is not None:
        return noted
    try:
        return journal.injection(injection.id)
    except (UnavailableError, KeyError):  # it is lost, or another one by now
        return injection


def _attempt(injection: Injection) -> Undone:
    """Revert once."""
    gone = ""
    try:
        record = _record(injection)
        how = behaviour(injection.kind)
        gone = how.revert(record) or ""
        if _seen_free(how, record):
            return Undone(injection, verified=True, gone=gone)
        error = "the target still shows the fault, or cannot be asked"
    except Exception as failed:  # noqa: BLE001 - it is recorded as owed and reported
        error = plain(f"{type(failed).__name__}: {failed}")
    return Undone(injection, verified=False, error=f"{injection}: {error}", gone=gone)


def _record(injection: Injection) -> Record:
    """Without the processes that are gone, since their pids may be others' by now."""
    gone = whereabouts(injection.boot_id) == "gone"
    return of_another_boot(injection.record, outside=is_outside(injection.boot_id)) if gone else injection.record


def is_free(injection: Injection) -> bool:
    """Whether the target says that the fault is not there; one that cannot be asked has said nothing."""
    try:
        return not injection.elsewhere and behaviour(injection.kind).active(_record(injection)) is False
    except Exception:  # noqa: BLE001 - whatever it is, nothing is known
        return False


def _seen_free(how: Behaviour, record: Record) -> bool:
    deadline = time.monotonic() + _GONE_WITHIN_S
    while how.active(record) is not False:
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.005)
    return True


@contextmanager
def _claim(home: Home, injection: Injection) -> Iterator[None]:
    """Keep two processes from reverting one fault at a time (a crash would be restarted twice)."""
    try:
        handle = os.open(home.scratch(injection.run) / f"{injection.mark}.lock", _CLAIMED, 0o600)
    except (
        OSError,
        ValueError,
        InputError,
    ):  # on a full disk, or by a damaged row: better undone twice than not at all
        yield
        return
    try:
        deadline = time.monotonic() + _CLAIM_S
        while not _claimed(handle) and time.monotonic() < deadline and not _stands_still(handle):
            time.sleep(0.01)
        yield
    finally:
        os.close(handle)


def _claimed(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    with suppress(OSError):  # on a full disk the claim holds all the same; only its holder stays unknown
        os.pwrite(handle, f"{os.getpid():>{_PID_BYTES}}".encode(), 0)
    return True


def _stands_still(handle: int) -> bool:
    """Whether the process that holds the claim is stopped: it may never go on."""
    try:
        holder = int(os.pread(handle, _PID_BYTES, 0) or 0)
        ticks = start_ticks(holder) if holder else None
        return ticks is not None and process.state(holder, ticks) in ("T", "t")
    except (OSError, ValueError):
        return False
