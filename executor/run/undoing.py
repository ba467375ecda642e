"""The undoing of one run's faults within its own process: each is undone once, whoever asks first."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Late

from executor.state.home import Home
from executor.state.journal import Injection, Journal
from executor.undo.revert import Undone, free_all, write_down


class Undoing:
    """For any number of threads: that of the engine, its workers, and the one that heeds a halt."""

    def __init__(self, journal: Journal, home: Home, *, by: str) -> None:
        self._journal, self._home, self._by = journal, home, by
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._results: dict[int, Future[Undone]] = {}
        self._unwritten: dict[int, Undone] = {}

    def undo(self, injections: Sequence[Injection], *, each_s: float = 20.0, again: bool = False) -> list[Undone]:
        """Undo these, or wait for who is at it already; one result for each. Blocks; raises nothing.

        What failed is tried again, and ``again`` undoes what was undone, too. All are free before any is written down;
        what could not be written down is tried again by the next call.
        """
        mine: list[tuple[Injection, Future[Undone]]] = []
        with self._lock:
            for injection in injections:
                if again or self._is_due(injection):
                    self._results[injection.id] = Future()
                    mine.append((injection, self._results[injection.id]))
            wanted = [(injection, self._results[injection.id]) for injection in injections]
        self._free(mine, again=again, each_s=each_s)
        deadline = time.monotonic() + each_s * max(1, len(injections))
        results = [_awaited(injection, result, deadline) for injection, result in wanted]
        self._write_down()
        return results

    def done(self, injection: Injection) -> bool:
        """Whether it is undone, or being undone."""
        with self._lock:
            return not self._is_due(injection)

    def _is_due(self, injection: Injection) -> bool:
        result = self._results.get(injection.id)
        return result is None or (result.done() and not result.result().reverted)

    def _free(self, mine: Sequence[tuple[Injection, Future[Undone]]], *, again: bool, each_s: float) -> None:
        """Answer exactly these futures: one that undoes a fault again meanwhile has put its own in their place."""
        freed: list[Undone] = []
        try:
            due = [injection for injection, _ in mine]
            freed = free_all(self._journal, self._home, due, by=self._by, again=again, each_s=each_s)
        finally:  # whatever breaks here, nobody may wait for ever
            found = {undone.injection.id: undone for undone in freed}
            with self._lock:
                self._unwritten |= found
                for each, result in mine:
                    lost = Undone(each, verified=False, error=f"{each}: undoing it was cut short")
                    result.set_result(found.get(each.id, lost))

    def _write_down(self) -> None:
        with self._writing:  # one after another, or what has failed could be written after what then succeeded
            with self._lock:
                unwritten = list(self._unwritten.values())
            if not write_down(self._journal, self._home, unwritten, by=self._by):
                return
            with self._lock:
                for undone in unwritten:
                    if self._unwritten.get(undone.injection.id) is undone:
                        del self._unwritten[undone.injection.id]


def _awaited(injection: Injection, result: Future[Undone], deadline: float) -> Undone:
    try:
        return result.result(max(0.0, deadline - time.monotonic()))
    except Late:
        return Undone(injection, verified=False, error=f"{injection}: reverting takes too long")
