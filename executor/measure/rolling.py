"""The last answers of one source, in the order in which they were meant to start: what the guard reads live."""

from __future__ import annotations

from collections import deque

KEPT = 2000
"""Answers remembered for each source."""
PATIENCE_S = 1.0
"""No asking that has been awaited for less than this counts as failed."""


class Rolling:
    """Answers by intended start. One that is still awaited keeps its place and is not good yet."""

    def __init__(self, started_s: float, patience_s: float = PATIENCE_S) -> None:
        """An asking awaited for longer than ``patience_s`` counts as failed for now: slow is not yet dead."""
        self._patience_s = max(PATIENCE_S, patience_s)
        self.awaited: dict[int, float] = {}
        """Intended start of every asking under way, by slot, oldest first."""
        self._answers: deque[tuple[int, float, bool]] = deque(maxlen=KEPT)
        self._last_answer_s = started_s
        self._slowest_good_s = 0.0

    def expect(self, slot: int, at_s: float) -> None:
        """An asking was meant to start at ``at_s``. Slots rise by one."""
        self.awaited[slot] = at_s

    def settle(self, slot: int, ok: bool, now_s: float) -> None:
        """The answer to an expected slot has come, or is counted as failed."""
        at_s = self.awaited.pop(slot)
        self._answers.append((slot, at_s, ok))
        self._last_answer_s = now_s
        if ok:
            self._slowest_good_s = max(self._slowest_good_s, now_s - at_s)

    def recent(self, n: int, now_s: float) -> list[bool]:
        """The last ``n`` answers (fewer if there are fewer), oldest first by intended start.

        An asking that has been awaited for too long, and for more than twice the time of the slowest good answer so
        far, stands among them as failed, so that a system that hangs is seen before the probes' own time-outs.
        """
        patience_s = max(self._patience_s, 2 * self._slowest_good_s)
        overdue = [(slot, at_s, False) for slot, at_s in self.awaited.items() if now_s - at_s > patience_s]
        return [ok for _, _, ok in sorted([*self._answers, *overdue])[-n:]] if n > 0 else []

    def age_s(self, now_s: float) -> float:
        """Seconds since an answer last completed, or since sampling began if none has."""
        return now_s - self._last_answer_s

    def steady(self, since_s: float, k: int) -> bool:
        """Whether the last ``k`` askings meant to start at or after ``since_s`` are all answered and good."""
        begun = [answer for answer in self._answers if answer[1] >= since_s]
        begun += [(slot, at_s, False) for slot, at_s in self.awaited.items() if at_s >= since_s]
        begun.sort()
        if begun and begun[-1][0] in self.awaited:
            begun.pop()  # the newest asking is nearly always under way: it must not keep a well system waiting
        return len(begun) >= k and all(ok for _, _, ok in begun[len(begun) - k :])
