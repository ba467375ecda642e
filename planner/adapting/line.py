"""A line of experiments that differ in strength alone: where on it steady state breaks, by bisection.

Between the strongest fault that held and the weakest that broke lies the threshold; each step halves what is between
them. It is searched for down to ``WIDTH`` of the strongest fault tried, which takes log2(1 / WIDTH) steps at most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from executor.model.faults import Fault
from executor.model.vocabulary import Verdict
from planner.adapting.strength import axis, share, weaker

WIDTH = 1 / 16
"""A threshold is known well enough when it lies in so much of the strongest fault that was tried."""
TRIES_MAX = 3
"""A strength that was inconclusive so often in a row is not tried again."""
_CLOSE = 1e-6
_ROUNDED = 0.005
"""Strengths are rounded to what a person would write, so halves are not quite halves."""


@dataclass(frozen=True)
class Tried:
    """One strength of the fault, and how it came out."""

    fault: Fault
    verdict: Verdict


@dataclass(frozen=True)
class Threshold:
    """Where steady state breaks, in shares of the strongest fault that was tried, 0–1."""

    held: float
    """The strongest that held; 0: nothing at all is all that is known to hold."""
    broke: float
    """The weakest that broke."""
    strongest: Fault
    next: Fault | None
    """What to try next; ``None``: nothing, see ``known``."""

    @property
    def width(self) -> float:
        """How much of the strongest fault the threshold may lie in."""
        return self.broke - self.held

    @property
    def known(self) -> bool:
        """Whether it is known as well as it is wanted."""
        return self.width <= WIDTH + _ROUNDED

    def words(self) -> str:
        """For instance ``holds under “delay each request by 1.2 s” and breaks under “delay … 1.4 s”``."""
        held = self.strongest.at(self.held) if self.held else None
        broke = self.strongest.at(self.broke) or self.strongest
        lower = f"holds under “{held.words()}” and " if held else ""
        return f"{lower}breaks under “{broke.words()}”"


def threshold(tried: Sequence[Tried]) -> Threshold | None:
    """What a line's results, oldest first, say of its threshold; ``None`` where nothing breaks, or no longer does.

    All faults are ``alike``. A result takes back earlier ones that contradict it: what held under more has been
    mended, or comes and goes, and what broke under less has become worse.
    """
    if not tried or axis(tried[0].fault) is None:
        return None
    strongest = max((each.fault for each in tried), key=lambda fault: share(fault, tried[0].fault))
    at: list[tuple[float, Verdict]] = []
    for each in tried:
        mine = share(each.fault, strongest)
        if each.verdict is Verdict.HOLDS:
            at = [(s, v) for s, v in at if not (v is Verdict.BREAKS and s <= mine + _CLOSE)]
        elif each.verdict is Verdict.BREAKS:
            at = [(s, v) for s, v in at if not (v is Verdict.HOLDS and s >= mine - _CLOSE)]
        at.append((mine, each.verdict))
    broken = [s for s, verdict in at if verdict is Verdict.BREAKS]
    if not broken:
        return None
    broke = min(broken)
    held = max((s for s, verdict in at if verdict is Verdict.HOLDS and s < broke), default=0.0)
    found = Threshold(held, broke, strongest, None)
    if found.known:
        return found
    middle = weaker(strongest, (held + broke) / 2)
    if middle is None or not held + _CLOSE < share(middle, strongest) < broke - _CLOSE:
        return found
    again = [verdict for s, verdict in at if abs(s - share(middle, strongest)) < _CLOSE]
    if sum(verdict is Verdict.INCONCLUSIVE for verdict in again) >= TRIES_MAX:
        return found
    return Threshold(held, broke, strongest, middle)
