"""The last answers of one source, in the order in which they were meant to start: what the guard reads live."""

from __future__ import annotations

from collections import deque

KEPT = 2000
"""Answers remembered for each source."""


class Rolling:
    """Answers by intended start. One that is still awaited keeps its place and is not good yet."""

    def __init__(self, started_s: float) -> None:
        self.awaited: dict[int, float] = {}
        """Intended start of every asking under way, by slot, oldest first."""
        self._answers: deque[tuple[int, float, bool]] = deque(maxlen=KEPT)
        self._last_answer_s = started_s

    def expect(self, slot: int, at_s: float) -> None:
        """An asking was meant to start at ``at_s``. Slots rise by one."""
        self.awaited[slot] = at_s

    def settle(self, slot: int, ok: bool, now_s: float) -> None:
        """The answer to an expected slot has come, or is counted as failed."""
        self._answers.append((slot, self.awaited.pop(slot), ok))
        self._last_answer_s = now_s

    def recent(self, n: int) -> list[bool]:
        """The last ``n`` completed answers (fewer if there are fewer), oldest first by intended start."""
        return [ok for _, _, ok in sorted(self._answers)[-n:]] if n > 0 else []

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
