"""When it is enough: what counts as success, and the one reason for which a plan, a line of runs or a campaign ends."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from executor.model import wording
from executor.model.system import System
from knowledge.beliefs import Belief
from knowledge.beliefs.belief import SHOWN_MIN, Key

WORTH_MIN = 0.02
"""An experiment that should tell less than this, in weighted bits, is not worth its time."""


@dataclass(frozen=True)
class Objective:
    """What is wanted: every weakness at places that matter is ruled out, or it is found."""

    criticality_min: int = 2
    """Services from here on matter, and edges with such a service at either end; 0–3."""
    ruled_out: float = 0.05
    """P(present) below which a weakness counts as ruled out."""
    shown: float = SHOWN_MIN
    """P(present) from which on it counts as found, without a finding of its own."""

    def words(self) -> str:
        """For instance ``each suspicion at criticality 2 or more has P(present) < 5 % or a finding``."""
        least = f"each suspicion at criticality {self.criticality_min} or more"
        return f"{least} has P(present) < {wording.percent(self.ruled_out)} or a finding"


@dataclass(frozen=True)
class Progress:
    """How far an objective is met."""

    objective: Objective
    shown: int
    ruled_out: int
    open: tuple[Key, ...]
    """What is neither, the likeliest first."""

    @property
    def met(self) -> bool:
        """Whether nothing is open. Also where nothing is suspected: then there is nothing to find out."""
        return not self.open

    def words(self) -> str:
        """In a sentence."""
        whole = self.shown + self.ruled_out + len(self.open)
        if self.met:
            return f"Enough: at places that matter, all {whole} suspected weaknesses are shown or ruled out."
        return (
            f"Suspected weaknesses at places that matter: {self.shown} shown, {self.ruled_out} ruled out, "
            f"{len(self.open)} still open."
        )


def progress(
    beliefs: Sequence[Belief], system: System, found: Collection[Key] = (), objective: Objective | None = None
) -> Progress:
    """How far what is believed meets the objective. ``found``: weaknesses with a finding that stands."""
    wanted = objective or Objective()
    matters = {service.name for service in system.services if service.criticality >= wanted.criticality_min}
    told = [b for b in beliefs if set(b.place.split("->")) & matters]
    shown = {
        (b.weakness, b.place)
        for b in told
        if b.shown or b.probability >= wanted.shown or (b.weakness, b.place) in found
    }
    out = {(b.weakness, b.place) for b in told if b.probability < wanted.ruled_out} - shown
    left = sorted(
        (b for b in told if (b.weakness, b.place) not in shown | out),
        key=lambda b: (-b.probability, b.weakness, b.place),
    )
    return Progress(wanted, len(shown), len(out), tuple((b.weakness, b.place) for b in left))


class Why(StrEnum):
    """Sorts of reasons to stop."""

    OBJECTIVE = "objective"
    """What was wanted is known."""
    BUDGET = "budget"
    """Experiments or time that were asked for are used up."""
    WORTH = "worth"
    """Nothing left is worth its risk and time."""
    EXHAUSTED = "exhausted"
    """There is nothing left at all."""


@dataclass(frozen=True)
class Stop:
    """Why it ends."""

    why: Why
    text: str
    """A clause that goes on ``it ends here because …``."""


@dataclass(frozen=True)
class Budget:
    """What may be spent."""

    experiments: int
    seconds: float


def stop(
    worths: Collection[float],
    budget: Budget | None = None,
    *,
    taken: int = 0,
    fits: bool = True,
    reached: Progress | None = None,
) -> Stop | None:
    """The reason to end here; ``None``: go on. Of several, the one that comes first below.

    ``worths``: of what could be done next, in weighted bits. ``taken``: experiments so far. ``fits``: whether any
    that is worth it still fits into the time. ``reached``: how far the objective is met, where it is to end this.
    """
    if reached is not None and reached.met:
        return Stop(Why.OBJECTIVE, f"{reached.objective.words()}")
    if not worths:
        return Stop(Why.EXHAUSTED, "there is nothing left to try")
    if budget is not None and taken >= budget.experiments:
        return Stop(Why.BUDGET, f"no more than {wording.number(taken)} were asked for")
    if max(worths) < WORTH_MIN:
        return Stop(Why.WORTH, "nothing else would teach enough to be worth its risk and time")
    if budget is not None and not fits:
        return Stop(Why.BUDGET, f"no other experiment fits into the {budget.seconds:g} s that were asked for")
    return None
