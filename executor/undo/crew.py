"""Work on many targets at once: few threads while they keep up, and as many as it takes when some hang.

Standard library only: the watchdog uses it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")
_PACE_S = 0.005
"""How often it is looked how fast the work goes."""
_PACES = 10
"""Tasks that would not be begun within so many looks want more threads: somebody waits for a target.

Threads that only compute are not made more: they would wait for each other's turn, and each turn costs.
"""


class Crew(Generic[Task, Result]):
    """Does every task of every chain, each chain in its order. One that hangs holds up no other chain."""

    def __init__(
        self, chains: Iterable[Sequence[Task]], do: Callable[[Task], Result], late: Callable[[Result], object]
    ) -> None:
        """``do`` must not raise. ``late`` gets, in a thread of the crew, what came out after ``work`` had returned."""
        self._todo = deque(chains)
        self._left = len(self._todo)
        self._do, self._late = do, late
        self._lock = threading.Lock()
        self._done: list[Result] = []
        self._over = False
        self._finished = threading.Event()

    def work(self, within_s: float) -> list[Result]:
        """What came out within so many seconds. Where no thread can be started, all is done here, however long."""
        deadline, threads, slow = time.monotonic() + within_s, 0, True
        while self._left and (left_s := deadline - time.monotonic()) > 0:
            before = len(self._todo)
            if slow and before:
                more = min(max(1, threads), before)
                self._hire(more)
                threads += more
            self._finished.wait(min(left_s, _PACE_S) if self._todo else left_s)
            slow = len(self._todo) > _PACES * (before - len(self._todo))
        with self._lock:
            self._over = True
            return list(self._done)

    def _hire(self, number: int) -> None:
        try:
            for _ in range(number):
                threading.Thread(target=self._work, daemon=True).start()
        except RuntimeError:  # the system has no more threads for us
            self._work()

    def _work(self) -> None:
        while True:
            try:
                chain = self._todo.popleft()
            except IndexError:
                return
            for task in chain:
                self._hand_in(self._do(task))
            with self._lock:
                self._left -= 1
                if not self._left:
                    self._finished.set()

    def _hand_in(self, result: Result) -> None:
        with self._lock:
            if not self._over:
                self._done.append(result)
                return
        self._late(result)
