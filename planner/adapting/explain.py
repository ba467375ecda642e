"""Two weaknesses that explain the same outcome, and what an experiment would tell of which of them it is.

The two are coupled by what broke: if one is not there, the other must be. So what is asked of an experiment is not
whether it breaks, but whether it breaks for one and not for the other: the mutual information of its verdict and of
which of the two are there. Source: D. V. Lindley, "On a Measure of the Information Provided by an Experiment", Annals
of Mathematical Statistics 27 (1956).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from knowledge.beliefs.belief import Key
from knowledge.beliefs.outcomes import Outcome, outcomes, standing
from knowledge.beliefs.prior import Prior
from knowledge.beliefs.trace import linked_with
from knowledge.beliefs.update import Weighed, joint
from knowledge.sensitivity import FALSE_ALARM, entropy

OPEN = (0.1, 0.95)
"""Between these P(present) leaves open whether a weakness is the explanation."""
_CERTAIN = 1e9
"""Pseudo-counts of what is supposed for the sake of argument."""


@dataclass(frozen=True)
class Rivals:
    """Two weaknesses of which either would explain what broke."""

    outcome: Outcome
    one: Key
    other: Key
    both: float
    """P(both are there)."""
    only_one: float
    only_other: float

    @property
    def neither(self) -> float:
        """P(none of them is there)."""
        return max(0.0, 1 - self.both - self.only_one - self.only_other)

    def gain(self, shows_one: float, shows_other: float) -> float:
        """Bits that a verdict tells of which of them are there; each ``shows``: P(breaks) if that one alone is."""
        miss_one, miss_other, quiet = 1 - shows_one, 1 - shows_other, 1 - FALSE_ALARM
        cases = (
            (self.both, 1 - quiet * miss_one * miss_other),
            (self.only_one, 1 - quiet * miss_one),
            (self.only_other, 1 - quiet * miss_other),
            (self.neither, 1 - quiet),
        )
        breaks = sum(weight * chance for weight, chance in cases)
        return max(0.0, entropy(breaks) - sum(weight * entropy(chance) for weight, chance in cases))


def rivals(made: Weighed, most: int) -> tuple[Rivals, ...]:
    """For each outcome that stands and broke, its two likeliest explanations where both are open.

    ``most`` of them, the most open first.
    """
    found = standing(outcomes(made.rows, made.priors))
    final = {(belief.weakness, belief.place): belief.probability for belief in made.beliefs}
    pairs = {(one, other): outcome for outcome in found for one, other in _pair(outcome, final)}
    ranked = sorted(pairs.items(), key=lambda each: (-min(final[key] for key in each[0]), each[0]))
    return tuple(_rivals(outcome, one, other, made, found, final) for (one, other), outcome in ranked[:most])


def _pair(outcome: Outcome, final: Mapping[Key, float]) -> Iterator[tuple[Key, Key]]:
    if not outcome.broke:
        return
    causes = [key for key, cause in outcome.causes.items() if cause.shows > 0 and OPEN[0] <= final.get(key, 0)]
    likeliest = sorted(causes, key=lambda key: (-final[key], key))[:2]
    if len(likeliest) > 1 and final[likeliest[0]] <= OPEN[1]:
        yield min(likeliest), max(likeliest)


def _rivals(
    outcome: Outcome, one: Key, other: Key, made: Weighed, found: Sequence[Outcome], final: Mapping[Key, float]
) -> Rivals:
    there = final[other]
    near = {one, *linked_with(other, found)}
    priors = {key: prior for key, prior in made.priors.items() if key in near}
    if_there, if_not = (
        joint({**priors, other: _supposed(priors[other], present=present)}, found, now=made.now)[one]
        for present in (True, False)
    )
    return Rivals(
        outcome,
        one,
        other,
        both=there * if_there,
        only_one=(1 - there) * if_not,
        only_other=there * (1 - if_there),
    )


def _supposed(prior: Prior, *, present: bool) -> Prior:
    """As if it were known."""
    sure = (_CERTAIN, 1 / _CERTAIN)
    return replace(prior, alpha=sure[not present], beta=sure[present])
