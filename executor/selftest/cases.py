"""Which moments and strikes a self-test puts together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from random import Random
from typing import Any, Literal

from executor.selftest.moments import BEHAVIOUR, JOURNAL, Boundary
from executor.selftest.strikes import STRIKES

Sort = Literal["undisturbed", "boundary", "instant"]


@dataclass(frozen=True)
class Case:
    """One run, and when and how it is struck."""

    number: int
    sort: Sort
    strike: str = ""
    boundary: str = ""
    """Where the executor stands still to be struck."""
    event: int = 0
    """After which of the run's events it is struck, counted from 1; 0: after the executor began."""
    at_s: float = 0.0
    """How long after that, seconds."""
    gap_s: float = 0.0

    def __str__(self) -> str:
        when = self.boundary or f"{self.at_s:.4f} s after event {self.event}"
        return f"case {self.number}, {self.sort}" + (f": {self.strike} {when}" if self.strike else "")

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


FAULTS = 8
"""Faults of one run; each is armed, injected and reverted once."""
_EACH = ("arm", "injected", "reverted", *BEHAVIOUR)


_LEAST_GAP_S = 0.05


def boundaries(seed: int, strikes: int) -> list[Case]:
    """Every boundary, each with that many of the strikes in turn; which of the equal calls it is differs."""
    random = Random(f"{seed} boundaries")
    names = list(STRIKES)
    random.shuffle(names)
    found: list[tuple[str, str]] = []
    for call in (*JOURNAL, *BEHAVIOUR):
        for before in (True, False):
            for _ in range(strikes):
                nth = random.randint(1, FAULTS) if call in _EACH else 1
                found.append((names[len(found) % len(names)], str(Boundary(call, before, nth))))
    return [Case(0, "boundary", strike, boundary, gap_s=random.uniform(0, 0.3)) for strike, boundary in found]


def instants(seed: int, count: int, events_s: Sequence[float]) -> list[Case]:
    """So many random instants, evenly over all strikes. ``events_s``: when the events of an undisturbed run came.

    Each lies a random time after a random event, up to about the next one: a busy machine stretches a run, and so they
    fall everywhere in it all the same, and more of them where much happens.
    """
    random = Random(f"{seed} instants")
    names = list(STRIKES)
    random.shuffle(names)
    begins = [0.0, *events_s[:-1]]
    found = []
    for n in range(count):
        event = random.randrange(len(begins))
        at_s = random.uniform(0, max(_LEAST_GAP_S, events_s[event] - begins[event]))
        found.append(Case(0, "instant", names[n % len(names)], event=event, at_s=at_s, gap_s=random.uniform(0, 0.3)))
    return found
