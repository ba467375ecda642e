"""The process that undoes a run's faults when its executor dies or hangs: ``python -m executor.watchdog``.

One per run, in its own session. It holds the executor's pidfd, so it learns of a death at once; a hang it learns from
the lapsed lease. Standard library and behaviours only: it must start fast, stay small and survive what it guards
against.
"""

from __future__ import annotations

import argparse
import os
import select
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

from executor.clock import wall
from executor.errors import UnavailableError
from executor.faults import registry
from executor.home import Home
from executor.journal import Injection, Journal
from executor.revert import undo_all

WHO = "watchdog"
READY = b"ready\n"
_TICK_S = 0.2
"""How often leases and the halt flag are looked at; a death needs no look."""
_HALT_GRACE_S = 1.0
"""After a halt the executor has this long to undo its faults itself."""
_GIVE_UP_S = 120.0
"""After the run, what is still owed is tried again for this long; then it waits for ``murphy recover``."""


class Watchdog:
    """Watches one run of one executor, told apart by its pid and start time: two may try to begin the same run."""

    def __init__(self, home: Home, run: str, pidfd: int, pid: int, ticks: int) -> None:
        self.home, self.run, self.pidfd = home, run, pidfd
        self.executor = (pid, ticks)
        self.journal = Journal(home.journal)
        self.dead = False
        self.left_alone = False
        self.halted_at: float | None = None
        self.known: list[Injection] = []
        """As last read: what there is to undo if the journal cannot be read any more."""

    def watch(self) -> int:
        """Stay until the run has ended or its executor is gone, then settle. Returns 4 if something is still owed."""
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        poll.register(0, select.POLLIN)
        while not self.dead:
            state = self._state()
            if state == "ended":
                break
            if state == "foreign" or (state == "awaited" and self.left_alone):
                return 0  # this executor was refused: there is nothing of its own to undo
            for handle, _ in poll.poll(_TICK_S * 1000):
                if handle == self.pidfd:
                    self.dead = True
                elif not _answer():
                    self.left_alone = True
                    poll.unregister(0)
            if not self.dead:
                self._look()
        return 0 if self._state() in ("awaited", "foreign") else self._settle()

    def _state(self) -> str:
        try:
            return self.journal.state_of(self.run, *self.executor)
        except UnavailableError:
            return "running"  # nothing is known to have ended, so it is watched on

    def _pending(self) -> list[Injection]:
        try:
            self.known = self.journal.pending(self.run)
        except UnavailableError as error:
            _say(f"goes by what it read last: {error}")
        return self.known

    def _look(self) -> None:
        if not self.home.halt_file.exists():
            self.halted_at = None
        elif self.halted_at is None:
            self.halted_at = time.monotonic()
        late = self.halted_at is not None and time.monotonic() - self.halted_at >= _HALT_GRACE_S
        if self._state() == "running":
            self._undo([i for i in self._pending() if late or (i.lapsed and i.state != "owed")])

    def _settle(self) -> int:
        """Undo all that the run left; again also what was undone on a lapse, since a hung executor may have gone on."""
        if self.dead:
            with suppress(UnavailableError):
                self._undo(self.journal.reverted_by(self.run, WHO), again=True)
        deadline = time.monotonic() + _GIVE_UP_S
        wait = 0.5
        while left := self._pending():
            self._undo(left)
            if not self._pending():
                break
            if time.monotonic() >= deadline:
                return 4
            time.sleep(wait)
            wait = min(2 * wait, 10.0)
        if self.dead:
            self.journal.finish(self.run, "interrupted", who=WHO)
        self.home.clear_scratch(self.run)
        return 0

    def _undo(self, injections: list[Injection], *, again: bool = False) -> None:
        if injections:
            for result in undo_all(self.journal, self.home, injections, by=WHO, again=again):
                if not result.reverted:
                    _say(f"still owed: {result.error}")


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


def _harden() -> None:
    """Outlive a memory shortage and a busy processor where the kernel lets us; neither is needed to work."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("-900", encoding="ascii")
    with suppress(OSError):
        os.nice(-5)
    os.chdir("/")
    for ignored in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(ignored, signal.SIG_IGN)


def main() -> int:
    """Run from the command line by the executor, which hands its pidfd down."""
    parser = argparse.ArgumentParser(prog="murphy-watchdog")
    parser.add_argument("--home", required=True)
    parser.add_argument("--run", required=True)
    parser.add_argument("--pidfd", required=True, type=int)
    parser.add_argument("--pid", required=True, type=int)
    parser.add_argument("--ticks", required=True, type=int)
    arguments = parser.parse_args()
    _harden()
    assert registry.BEHAVIOURS  # loaded before we say that we are ready
    home = Home(Path(arguments.home))
    watchdog = Watchdog(home, arguments.run, arguments.pidfd, arguments.pid, arguments.ticks)
    os.write(1, READY)
    return watchdog.watch()


if __name__ == "__main__":
    sys.exit(main())
