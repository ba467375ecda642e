"""What the experts of one session share: their budget, where answers are kept, and who listens."""

from __future__ import annotations

import threading
from typing import Protocol, runtime_checkable

from experts.models.recordings import Asked, Recordings, Unkept
from experts.models.saying import Listen, Said
from experts.models.spending import Budget


@runtime_checkable
class Attending(Protocol):
    """An expert that can be told what session it sits in. Who answers from a playbook alone need not be."""

    def attend(self, recordings: Recordings, listen: Listen) -> None:
        """Keep answers there from now on, and say there what comes."""


class Sitting:
    """Safe to share between threads."""

    def __init__(self, budget: Budget | None = None, *, cache: bool = True) -> None:
        """``cache``: what a model has answered well before is not asked again, in whatever session that was."""
        self.budget = budget or Budget()
        self._cache = cache
        self.listen: Listen = _nobody
        self.asked: list[Asked] = []
        """Every question of this sitting with its raw answer, in the order in which the answers came."""
        self._recordings: Recordings = Unkept()
        self._lock = threading.Lock()
        self._withheld = 0

    @property
    def replaying(self) -> bool:
        """Whether nothing may be asked that is not recorded."""
        return self._recordings.replaying

    def find(self, key: str) -> Asked | None:
        """The answer to be used instead of asking; ``None``: ask."""
        return self._recordings.find(key) if self._cache or self.replaying else None

    def open(self, recordings: Recordings, listen: Listen) -> None:
        """Begin, or go on where a crash has cut the session short: what it spent then is spent. Idempotent."""
        with self._lock:
            if recordings is self._recordings:
                return
            self._recordings, self.listen = recordings, listen
            if not recordings.replaying:
                self.budget.resume(
                    (one.model, one.usage, one.seconds) for one in recordings.begun() if not one.recorded
                )

    def keep(self, asked: Asked) -> None:
        """Keep a question with its answer."""
        self._recordings.keep(asked)
        with self._lock:
            self.asked.append(asked)

    def withheld(self, count: int) -> bool:
        """Take note that so many things were withheld; whether it is the first time that there were any."""
        with self._lock:
            first = not self._withheld and count > 0
            self._withheld += count
            return first


def _nobody(_said: Said) -> None:
    """Nobody listens."""
