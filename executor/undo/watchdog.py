"""The process that undoes a run's faults when its executor dies or hangs: ``python -m executor.undo.watchdog``.

One per run, in its own session. It holds the executor's pidfd, so it learns of a death at once; a hang it learns from
the lapsed lease. Standard library and behaviours only: it must start fast, stay small and survive what it guards
against.
"""

from __future__ import annotations

import argparse
import os
import queue
import select
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from executor.clock import boottime, wall
from executor.errors import UnavailableError
from executor.faults import registry
from executor.state import undo_notes
from executor.state.home import Home
from executor.state.journal import Injection, Journal
from executor.undo.endurance import Spares, endure
from executor.undo.noted import undo_noted
from executor.undo.revert import EACH_S, Undone, free_all, overdue, write_down

WHO = "watchdog"
READY = b"ready\n"
_TICK_S = 0.2
"""How often leases and the halt flag are looked at; a death needs no look."""
_LATE_S = 1.0
"""How often notes are looked at after the run's end."""
_HALT_GRACE_S = 0.3
"""After a halt the executor has this long to undo its faults itself."""
_GIVE_UP_S = 120.0
"""After the run, what is still owed is tried again for this long; then it waits for ``murphy recover``."""
_AGAIN_S = 0.5
"""During the run, what is still owed is tried again after so long, then after twice that, and so on…"""
_AGAIN_S_MAX = 30.0
"""…up to this."""
_WRITES_S = 0.2
"""During the run, another writer to the journal is waited for no longer: a lease may lapse meanwhile."""
_SETTLES_S = 5.0
"""After the run it is waited for so long."""


@dataclass
class _Beside:
    """A revert that is under way beside the loop."""

    injection: Injection
    begun: float
    overdue: bool = False
    """Whether it was written down that it takes too long."""


class Watchdog:
    """Watches one run of one executor, told apart by its pid and start time: two may try to begin the same run.

    While the executor lives, faults are undone beside the loop that watches: a revert that hangs holds up no other.
    """

    def __init__(self, home: Home, run: str, pidfd: int, pid: int, ticks: int) -> None:
        self.home, self.run, self.pidfd = home, run, pidfd
        self.executor = (pid, ticks)
        self.spares = Spares()  # first: their numbers are low then, and within any limit that is set later
        self.journal = Journal(home.journal)
        self.journal.store.wait(_WRITES_S)
        self.dead = False
        self.left_alone = False
        self.halted_at: float | None = None
        self.state = "awaited"
        self.known: list[Injection] = []
        """What there is to undo, as last read and as undone since."""
        self._version: int | None = None
        self._undone: set[str] = set()
        self._late: dict[str, Injection] = {}
        """By mark, what was undone while its executor was still making it: it may be made after that, and again."""
        self.beside: dict[str, _Beside] = {}
        """By mark, what is being undone beside the loop."""
        self._again: dict[str, tuple[float, float]] = {}
        """By mark, of what is owed: when it is tried again, and how long is waited after that."""
        self._came: queue.SimpleQueue[Undone] = queue.SimpleQueue()
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        """Rings when something has come."""

    def watch(self) -> int:
        """Stay until the run has ended or its executor is gone, then settle. Returns 4 if something is still owed."""
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        poll.register(0, select.POLLIN)
        poll.register(self._bell, select.POLLIN)
        self.read()
        while not self.dead and self.state != "ended":
            if self.state == "foreign" or (self.state == "awaited" and self.left_alone):
                return 0  # this executor was refused: there is nothing of its own to undo
            for handle, _ in poll.poll(self._nap_s() * 1000):
                if handle == self.pidfd:
                    self.dead = True
                elif handle == self._bell:
                    os.eventfd_read(self._bell)
                elif not _answer():
                    self.left_alone = True
                    poll.unregister(0)
            try:
                self.look()
            except Exception as error:  # noqa: BLE001 - a watchdog that dies of it would guard nothing
                _say(f"could not look: {type(error).__name__}: {error}")
        self._take_in()
        self.read(anew=True)
        return 0 if self.state in ("awaited", "foreign") else self._settle()

    def _nap_s(self) -> float:
        """Until the next look, which comes as soon as a lease lapses."""
        left = (i.expires - boottime() for i in self.known)
        return min((each for each in left if 0 < each < _TICK_S), default=_TICK_S)

    def read(self, *, anew: bool = False) -> None:
        """See how the run stands, where the journal has changed; asking whether it has costs next to nothing.

        Where it cannot be read, the notes beside it and what was known are gone by.
        """
        try:
            version = int(self.journal.store.read("PRAGMA data_version")[0][0])
            if anew or version != self._version:
                state = self.journal.state_of(self.run, *self.executor)
                if self.state != "running" or state == "ended":  # what was its own run stays its own, whatever is said
                    self.state = state
                pending = self.journal.pending(self.run)
                undone = [i for i in pending if self._is_undone(i)]
                write_down(self.journal, self.home, [Undone(i, verified=True) for i in undone], by=WHO)
                self.known = [i for i in pending if i not in undone]
                if self.state == "running" and not self.dead:  # else it is settled, or nobody makes it any more
                    self.known += [self._late[mark] for mark in self._late.keys() - {i.mark for i in pending}]
                self._version = version
        except UnavailableError as error:
            if self._version is not None:
                _say(f"goes by what it knows: {error}")
            self._version, self.state = None, "running"  # nothing is known to have ended, so it is watched on
            with self.spares.released():
                noted = undo_notes.left(self.home, self.run)
            marks = {note.mark for note in noted}
            self.known = [*noted, *(i for i in self.known if i.mark not in marks)]

    def look(self) -> None:
        """Begin to undo what has lapsed, and after a halt what the executor has not undone in time.

        What came of those that were begun before is written down. What is owed is tried again now and then.
        """
        self._take_in()
        self.read()
        if not self.home.halt_file.exists():
            self.halted_at = None
        elif self.halted_at is None:
            self.halted_at = time.monotonic()
        late = self.halted_at is not None and time.monotonic() - self.halted_at >= _HALT_GRACE_S
        if self.state == "running" and not self.dead:
            self._begin([i for i in self.known if (late or i.lapsed) and self._is_due(i.mark)])

    def _is_due(self, mark: str) -> bool:
        return mark not in self.beside and time.monotonic() >= self._again.get(mark, (0.0, 0.0))[0]

    def _begin(self, injections: list[Injection]) -> None:
        if not injections:
            return
        self.beside |= {each.mark: _Beside(each, time.monotonic()) for each in injections}
        try:
            threading.Thread(target=self._free, args=(injections,), daemon=True).start()
        except RuntimeError:  # the system has no thread for us
            self._free(injections)

    def _free(self, injections: list[Injection]) -> None:
        """Ends after a while even if a revert does not: from then on there are spare descriptors again."""
        try:
            with self.spares.released():
                free_all(self.journal, self.home, injections, by=WHO, told=self._tell)
        except Exception as error:  # noqa: BLE001 - whatever it is, they are tried again
            for each in injections:
                self._tell(Undone(each, verified=False, error=f"{each}: {type(error).__name__}: {error}"))

    def _tell(self, result: Undone) -> None:
        self._came.put(result)
        os.eventfd_write(self._bell, 1)

    def _take_in(self) -> None:
        """Write down what came of the reverts beside the loop, and which take too long."""
        results = []
        with suppress(queue.Empty):
            while True:
                results.append(self._came.get_nowait())
        for result in results:
            self.beside.pop(result.injection.mark, None)
        for each in self.beside.values():
            if not each.overdue and time.monotonic() - each.begun >= EACH_S:
                each.overdue = True
                results.append(overdue(each.injection))
        if results:
            self._note(results)

    def _settle(self) -> int:
        """Undo all that the run left; again also what others undid before, since a hung executor may have gone on."""
        self.journal.store.wait(_SETTLES_S)
        if self.dead:
            with suppress(UnavailableError):
                self._undo(self.journal.reverted_by_others(self.run), again=True)
        if not self._undo_owed():
            return 4
        if self._died_late():
            with self.spares.released():
                undo_noted(self.home, by=WHO, run=self.run)
            if not self._undo_owed():
                return 4
        self.home.clear_scratch(self.run)  # first: nobody comes back to a run that is over
        if self.dead:
            with suppress(UnavailableError):
                self.journal.finish(self.run, "interrupted", who=WHO)
        return 0

    def _undo_owed(self) -> bool:
        """Try until nothing is owed, for a while; whether that came true."""
        deadline = time.monotonic() + _GIVE_UP_S
        wait = 0.5
        self.read(anew=True)
        while self.known:
            self._undo(self.known)
            if not self.known:
                break
            if time.monotonic() >= deadline:
                return False
            time.sleep(wait)
            wait = min(2 * wait, 10.0)
        return True

    def _died_late(self) -> bool:
        """Stay while a thread that was given up may still make its fault, which is noted; whether the executor died.

        No lease is renewed any more: what has lapsed is undone meanwhile, or it would stay if the executor stood still.
        """
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        while not self.dead and (left := undo_notes.left(self.home, self.run)):
            self._begin([note for note in left if note.lapsed and self._is_due(note.mark)])
            self.dead = bool(poll.poll(_LATE_S * 1000))
            self._take_in()
        return self.dead

    def _undo(self, injections: list[Injection], *, again: bool = False) -> None:
        if not injections:
            return
        with self.spares.released():
            results = free_all(self.journal, self.home, injections, by=WHO, again=again)
        self._note(results)

    def _note(self, results: list[Undone]) -> None:
        """Write it down. What is undone is known no longer, and what is owed is left alone for a while."""
        written = write_down(self.journal, self.home, results, by=WHO)
        gone = set()
        for result in results:
            mark = result.injection.mark
            if not result.reverted:
                _say(f"still owed: {result.error}")
            elif written:  # should the journal hold it as pending again, it was made after that
                self._undone.discard(mark)
            else:
                self._undone.add(mark)
            if result.reverted and undo_notes.noted(self.home, result.injection) is None:
                gone.add(mark)
                self._again.pop(mark, None)
                self._late.pop(mark, None)
            elif result.reverted:
                self._late[mark] = result.injection
                self._again[mark] = time.monotonic() + _AGAIN_S, _AGAIN_S
            else:
                _, wait = self._again.get(mark, (0.0, _AGAIN_S))
                self._again[mark] = time.monotonic() + wait, min(2 * wait, _AGAIN_S_MAX)
        self.known = [i for i in self.known if i.mark not in gone]
        self.read(anew=True)

    def _is_undone(self, injection: Injection) -> bool:
        """Whether it was undone here, though it could not be written down, and nobody has noted it again since."""
        return injection.mark in self._undone and undo_notes.noted(self.home, injection) is None


def _say(text: str) -> None:
    with suppress(OSError):
        os.write(2, f"{wall()} {text}\n".encode("utf-8", "replace"))


def _answer() -> bool:
    """Answer the executor's question whether we are well; ``False`` once it has closed the pipe."""
    if not os.read(0, 64):
        return False
    with suppress(OSError):
        os.write(1, READY)
    return True


def main() -> int:
    """Run from the command line by the executor, which hands its pidfd down."""
    parser = argparse.ArgumentParser(prog="murphy-watchdog")
    parser.add_argument("--home", required=True)
    parser.add_argument("--run", required=True)
    parser.add_argument("--pidfd", required=True, type=int)
    parser.add_argument("--pid", required=True, type=int)
    parser.add_argument("--ticks", required=True, type=int)
    arguments = parser.parse_args()
    endure()
    assert registry.BEHAVIOURS  # loaded before we say that we are ready
    home = Home(Path(arguments.home))
    watchdog = Watchdog(home, arguments.run, arguments.pidfd, arguments.pid, arguments.ticks)
    with suppress(OSError):  # an executor that has died meanwhile hears nothing, and has left what is to be undone
        os.write(1, READY)
    owed = watchdog.watch()
    home.clear_rehearsals()
    return owed


if __name__ == "__main__":
    sys.exit(main())
