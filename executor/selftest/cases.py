"""Which moments, strikes and troubles a self-test puts together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from random import Random
from typing import Any

from executor.selftest.moments import BEHAVIOUR, JOURNAL, NOTES, Boundary
from executor.selftest.script import FAULTS
from executor.selftest.strikes import AT_WORK, STRIKES
from executor.selftest.troubles import TROUBLES

EXECUTOR, WATCHDOG, NEXT_START = "executor", "executor.undo.watchdog", "executor.selftest.again"
_EACH = ("occupy", "arm", "injected", *NOTES, *BEHAVIOUR)
_UNDOING = ("revert", "drop", "reverted_all", "finish")
"""What a watchdog and the next start do."""
_LEAST_GAP_S = 0.05
_GAP_S = 0.3


@dataclass(frozen=True)
class Case:
    """One run, and when and how it is struck."""

    sort: str
    number: int = 0
    strike: str = ""
    trouble: str = ""
    boundary: str = ""
    """Where a process stands still to be struck."""
    whose: str = EXECUTOR
    """Which process stands still there, as a module."""
    event: int = 0
    """After which of the run's events it is struck, counted from 1; 0: after the executor began."""
    at_s: float = 0.0
    """How long after that, seconds."""
    gap_s: float = 0.0
    """Between two blows, seconds."""

    def __str__(self) -> str:
        what = " and ".join(filter(None, (self.trouble, self.strike)))
        when = f"{self.at_s:.4f} s after event {self.event}"
        if self.boundary:
            when = f"{self.boundary} of {self.whose}"
        return f"case {self.number}, {self.sort}" + (f": {what} {when}" if what else "")

    def sooner(self) -> Case:
        """The same earlier in the run, for one that was over before: a run that is aborted has fewer events."""
        boundary = self.boundary
        if boundary:
            struck = Boundary.parse(boundary)
            boundary = str(replace(struck, nth=max(1, struck.nth // 2)))
        return replace(self, boundary=boundary, event=self.event // 2, at_s=self.at_s / 2)

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def boundaries(seed: int, strikes: int) -> list[Case]:
    """Every boundary, each with that many of the strikes in turn; which of several equal calls it is, is drawn."""
    random = Random(f"{seed} boundaries")
    names = _turns(random, STRIKES)
    found = []
    for call in (*JOURNAL, *NOTES, *BEHAVIOUR):
        for before in (True, False):
            for _ in range(strikes):
                boundary = Boundary(call, before, random.randint(1, FAULTS) if call in _EACH else 1)
                trouble = "proxy hangs" if call == "owe" else ""  # or no revert would be owed
                found.append(Case("boundary", 0, next(names), trouble, str(boundary), gap_s=random.uniform(0, _GAP_S)))
    return found


def undoing(seed: int, strikes: int) -> list[Case]:
    """Every boundary of the processes that undo what a dead executor has left; struck there, they leave a half."""
    random, at_work = Random(f"{seed} undoing"), list(AT_WORK)
    found = []
    for call in _UNDOING:
        for before in (True, False):
            for _ in range(strikes):
                boundary = str(Boundary(call, before, random.randint(1, 3) if call in _EACH else 1))
                event = random.randint(FAULTS, 2 * FAULTS)
                found.append(Case("watchdog's boundary", 0, random.choice(at_work), "", boundary, WATCHDOG, event))
                found.append(Case("next start's boundary", 0, "power cut", "", boundary, NEXT_START, event))
    return found


def instants(seed: int, count: int, events_s: Sequence[float]) -> list[Case]:
    """So many random instants, evenly over all strikes. ``events_s``: when the events of an undisturbed run came.

    Each lies a random time after a random event, up to about the next one: a busy machine stretches a run, and so they
    fall everywhere in it all the same, and more of them where much happens.
    """
    random = Random(f"{seed} instants")
    names = _turns(random, STRIKES)
    return [Case("instant", 0, next(names), **_instant(random, events_s)) for _ in range(count)]


def troubles(seed: int, strikes: int, events_s: Sequence[float], names: Sequence[str]) -> list[Case]:
    """Every trouble at instants and boundaries, with so many of the strikes on top, and always once with none."""
    random = Random(f"{seed} troubles")
    found = []
    for trouble in names:
        others = _turns(random, STRIKES)
        for n in range(strikes + 1):
            strike = next(others) if n else ""
            found.append(Case(trouble, 0, strike, trouble, **_instant(random, events_s)))
            if trouble.startswith("disk"):
                call = random.choice(("arm", "injected", "renew", "reverted_all", "finish"))
                boundary = str(Boundary(call, random.random() < 0.5, random.randint(1, 4) if call in _EACH else 1))
                found.append(Case(trouble, 0, strike, trouble, boundary, gap_s=random.uniform(0, _GAP_S)))
    return found


def whole(seed: int, count: int, events_s: Sequence[float]) -> list[Case]:
    """The crash matrix: every boundary, every trouble, and ``count`` random instants."""
    return [
        *boundaries(seed, 2),
        *undoing(seed, 1),
        *troubles(seed, 3, events_s, [name for name in TROUBLES if name]),
        *instants(seed, count, events_s),
    ]


def few(seed: int, events_s: Sequence[float]) -> list[Case]:
    """A look that takes a minute: some of every sort, each call at one of its boundaries."""
    random = Random(f"{seed} few")
    after = undoing(seed, 1)
    sorts = [[case for case in after if case.whose == whose] for whose in (WATCHDOG, NEXT_START)]
    groups = [group for each in (boundaries(seed, 1), *sorts) for group in _groups(each)]
    return [
        *(random.choice(group) for group in groups),
        *troubles(seed, 0, events_s, [name for name in TROUBLES if name]),
        *instants(seed, 10, events_s),
    ]


def _groups(cases: Sequence[Case]) -> list[Sequence[Case]]:
    """Before and after of each call, which follow each other."""
    return [cases[n : n + 2] for n in range(0, len(cases), 2)]


def _instant(random: Random, events_s: Sequence[float]) -> dict[str, Any]:
    begins = [0.0, *events_s[:-1]]
    event = random.randrange(len(begins))
    at_s = random.uniform(0, max(_LEAST_GAP_S, events_s[event] - begins[event]))
    return {"event": event, "at_s": at_s, "gap_s": random.uniform(0, _GAP_S)}


def _turns(random: Random, names: Sequence[str] | dict[str, Any]) -> Iterator[str]:
    """All of them in an order that is drawn, again and again."""
    order = list(names)
    random.shuffle(order)
    while True:
        yield from order
