"""What a search is worth: how soon it found what is there, how much of what it said is true, and what it cost."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from bench.gym.outcomes import Result
from bench.gym.plants import Pair
from bench.gym.systems import Ground

SHARE = 0.8
"""Of the planted weaknesses that can be found."""


@dataclass
class Score:
    """Of one search on one system."""

    planted: int
    found_at: list[int] = field(default_factory=list)
    """Experiments until the first, second, … planted weakness was found."""
    experiments: int = 0
    true: int = 0
    """Findings that are true, each once."""
    false: int = 0
    false_pairs: list[str] = field(default_factory=list)
    duplicates: int = 0
    risk: float = 0.0
    seconds: float = 0.0
    brier: list[float] = field(default_factory=list)
    """Squared errors of predictions, one for each hypothesis that was decided."""
    found: list[int] = field(default_factory=list)
    """Which were found, by number."""

    def to(self, count: int) -> int | None:
        """Experiments until so many were found; ``None``: never."""
        if count <= 0:
            return 0
        return self.found_at[count - 1] if count <= len(self.found_at) else None

    def area(self, budget: int, findable: int) -> float:
        """Area under the curve of what was found over experiments, up to the budget; 1 is all by the first one."""
        return sum(max(0, budget - at + 1) for at in self.found_at if at <= budget) / (budget * max(1, findable))

    def recall(self, budget: int) -> float:
        """Share of all that is planted, found within the budget."""
        return sum(at <= budget for at in self.found_at) / max(1, self.planted)


def score(steps: Iterable[tuple[str, Result]], of: Ground) -> Score:
    """Go through a search; ``steps`` has each experiment's id with its result."""
    told = Score(len(of.planted))
    seen: set[str] = set()
    found: set[int] = set()
    pairs: set[Pair] = set()
    for number, (name, result) in enumerate(steps, start=1):
        told.experiments = number
        told.duplicates += name in seen
        seen.add(name)
        told.risk += result.risk
        told.seconds += result.seconds
        told.brier += [(probability - broke) ** 2 for probability, broke in result.decided]
        for pair in sorted(result.broke - pairs):
            pairs.add(pair)
            if of.true(pair):
                told.true += 1
            else:
                told.false += 1
                told.false_pairs.append(f"{pair[0].value} at {pair[1]} by {name}")
            for which in sorted(of.found(pair) - found):
                found.add(which)
                told.found_at.append(number)
                told.found.append(which)
    return told


def wanted(findable: int) -> int:
    """How many have to be found for ``SHARE`` of them."""
    return math.ceil(SHARE * findable)


def expected_first(candidates: int, telling: int) -> float:
    """Experiments until the first of so many telling ones, at random without replacement: (N+1)/(K+1)."""
    return (candidates + 1) / (telling + 1)


def fewest(shown: Iterable[Iterable[int]], count: int) -> int | None:
    """Experiments that whoever knew all outcomes would need for so many, taking what shows most again and again.

    ``None`` where the candidates do not show so many.
    """
    left = [set(numbers) for numbers in shown]
    found: set[int] = set()
    for number in range(1, len(left) + 1):
        if len(found) >= count:
            return number - 1
        best = max(left, key=lambda numbers: len(numbers - found), default=set())
        if not best - found:
            break
        found |= best
    return None if len(found) < count else len(left)
