"""The maximum stable rate: which one to try next, and what is known when there is none left to try."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from executor.measure.capacity.sequential import Decision

Outcome = Decision | Literal["unreachable"]
"""Of one rate; ``unreachable``: the generator could not make it."""
_DOWN = 3
"""How many times it goes down by the factor where the start is not carried."""


@dataclass(frozen=True)
class Maximum:
    """The largest rate that a service carries, requests a second.

    ``found``: between ``low_rps``, which it was seen to carry, and ``high_rps``, which it was seen not to.
    ``at_least``: it carried all that was, or could be, tried. ``below``: it did not even carry the least.
    ``inconclusive``: neither end is known.
    """

    verdict: Literal["found", "at_least", "below", "inconclusive"]
    low_rps: float | None
    high_rps: float | None
    confidence: float
    """At least so likely that no rate was judged wrongly: Boole's inequality over all tests made."""
    why: str = ""


class MaximumSearch:
    """Rises by a factor until a rate is not carried, then halves the interval, on a logarithmic scale. No I/O.

    The rate from which halving begins, and the one at which it ends, are not carried only if they are not twice.

    Ask ``next_rps``, try that rate, say what came of it with ``settle``, until ``next_rps`` gives ``None``.
    """

    def __init__(
        self,
        start_rps: float,
        limit_rps: float,
        *,
        factor: float = 2.0,
        resolution: float = 0.05,
        levels_max: int = 24,
        error: float = 0.005,
    ) -> None:
        """Ends when the interval's ends are within ``resolution``; ``error`` is that of each level's two tests."""
        self._start_rps, self._limit_rps = start_rps, limit_rps
        self._factor, self._step = factor, 1 + resolution
        self._left, self._error = levels_max, error
        self.outcomes: dict[float, Outcome] = {}
        """What has been tried, in that order; of a rate that was tried again, what came of it last."""
        self._again: set[float] = set()
        self._told = 0

    def settle(self, rate_rps: float, outcome: Outcome) -> None:
        """What came of a rate."""
        self._left -= 1
        self._told += outcome in ("stable", "violated")
        if rate_rps in self.outcomes:
            self._again.add(rate_rps)
        self.outcomes[rate_rps] = outcome

    def next_rps(self) -> float | None:
        """The rate to try next; ``None`` when there is no use in another."""
        if self._left <= 0:
            return None
        if not self.outcomes:
            return self._start_rps
        low, top, doubtful = self._ends()
        if low is None:
            least = min(self.outcomes)
            return least / self._factor if least > self._start_rps / self._factor**_DOWN else None
        if top is None and max(self.outcomes) < self._limit_rps:
            return min(self._limit_rps, max(self.outcomes) * self._factor)
        # On either side of rates that the test could not tell there may be some that it can.
        gaps = []
        if doubtful or top is not None:
            gaps.append((low, *doubtful[:1], *([] if top is None else [top]))[:2])
        if doubtful and top is not None:
            gaps.append((doubtful[-1], top))
        halfway = next((math.sqrt(below * above) for below, above in gaps if above / below > self._step), None)
        # A service that had just begun, or stood still for once, carries that rate after all. It is tried again before
        # the interval below it is halved, and where that has ended.
        doubted = top is not None and self.outcomes[top] == "violated" and top not in self._again
        return top if doubted and (halfway is None or top == max(self.outcomes)) else halfway

    def result(self) -> Maximum:
        """What is known by now."""
        low, top, doubtful = self._ends()
        confidence = max(0.0, 1 - 2 * self._error * self._told)
        violated = top is not None and self.outcomes[top] == "violated"
        if low is not None and violated:
            why = f"{len(doubtful)} rates between could not be told" if doubtful else ""
            return Maximum("found", low, top, confidence, why)
        if low is not None:
            why = "more could not be generated" if top is not None else "more was not tried, or could not be told"
            return Maximum("at_least", low, None, confidence, why)
        if violated:
            return Maximum("below", None, top, confidence, "no rate that was tried was seen to be carried")
        return Maximum("inconclusive", None, None, 0.0, "no rate could be told")

    def _ends(self) -> tuple[float | None, float | None, list[float]]:
        """The largest rate carried, the smallest that was not or could not be made, and what is unclear between."""
        top = min((r for r, outcome in self.outcomes.items() if outcome in ("violated", "unreachable")), default=None)
        below = {rate: outcome for rate, outcome in self.outcomes.items() if top is None or rate < top}
        low = max((rate for rate, outcome in below.items() if outcome == "stable"), default=None)
        doubtful = sorted(rate for rate, outcome in below.items() if outcome != "stable" and rate > (low or 0))
        return low, top, doubtful
