"""What the twin foresees of an experiment. Probabilities are 0–1."""

from __future__ import annotations

from dataclasses import dataclass

from executor.model.vocabulary import Weakness


@dataclass(frozen=True)
class CheckOutlook:
    """One check of the experiment."""

    check: str
    service: str
    breaks: float
    """P(it leaves its steady state)."""
    kept: float
    """Share of its requests expected to be answered well and in time while the fault is there."""
    low: float
    """Lower end of the 90 % interval of that over the worlds."""
    high: float


@dataclass(frozen=True)
class HypothesisOutlook:
    """One hypothesis of the experiment."""

    hypothesis: str
    weakness: Weakness
    place: str
    present: float
    """P(the weakness is there) that it begins with."""
    breaks: float
    """P(a verdict of ``breaks``)."""
    if_present: float
    """The same if the weakness is there: what the experiment can see of it."""
    if_absent: float
    """And if it is not: what else would break it."""
    gain_bits: float
    """What the verdict is expected to tell of whether the weakness is there."""
    simulated: bool
    """Whether the model played it through; else it only repeats what is believed."""


@dataclass(frozen=True)
class Recovery:
    """Seconds from the end of the fault until all checks are well, over the worlds in which one was hurt."""

    median_s: float
    """Infinite where it mostly never comes."""
    low_s: float
    """Lower end of the 90 % interval."""
    high_s: float
    never: float
    """P(something stays broken)."""


@dataclass(frozen=True)
class Rehearsal:
    """What the twin foresees of one experiment."""

    experiment: str
    worlds: int
    effective: float
    """How many equally weighted worlds would tell as much."""
    seed: int
    breaks: float
    """P(some check leaves its steady state)."""
    checks: tuple[CheckOutlook, ...]
    hypotheses: tuple[HypothesisOutlook, ...]
    touched: tuple[tuple[str, float], ...]
    """(service, P(it leaves its steady state)), the likeliest first; those that surely do not are left out."""
    recovery: Recovery | None
    """``None``: no world in which a check is hurt."""
    cascade: float
    """P(a service beyond the target leaves its steady state): containment below 1."""
    containment: float
    """Expected 1 − (services beyond the target that leave it ÷ services at risk)."""
    containment_low: float
    """Lower end of its 90 % interval."""
    unplanned: tuple[float, ...]
    """P(at least 1, 2, … of the watched services leave steady state that no hypothesis and no target speaks of)."""
    loss: tuple[tuple[str, float], ...]
    """(service, share of its work that it is expected to lose), the most first."""
    gain_bits: float
    """What all verdicts together are expected to tell."""

    def hypothesis(self, name: str) -> HypothesisOutlook:
        """The outlook of one hypothesis. Raises ``KeyError`` for one that the experiment lacks."""
        for outlook in self.hypotheses:
            if outlook.hypothesis == name:
                return outlook
        raise KeyError(name)

    def more_unplanned_than(self, most: int) -> float:
        """P(more than so many services leave steady state that nobody speaks of)."""
        return self.unplanned[most] if most < len(self.unplanned) else 0.0
