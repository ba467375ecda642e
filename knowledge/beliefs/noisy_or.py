"""Which of several weaknesses explains what broke: noisy-OR over independent priors, exact where few share outcomes.

An outcome breaks if any weakness that is there shows itself in it, or by a false alarm:
P(breaks | present set) = 1 − (1 − leak) ∏ (1 − sᵢ) over those present. So what held multiplies each weakness' odds by
1 − sᵢ for itself, and needs no joint reckoning: it is in the priors here. Only what broke couples them, and if one
cause of it is found, the others are needed less: explaining away.

Sources: Pearl, "Probabilistic Reasoning in Intelligent Systems" (1988), 4.3; Heckerman, "A Tractable Inference
Algorithm for Diagnosing Multiple Diseases" (UAI 1989) for negative findings; Murphy, Weiss and Jordan, "Loopy Belief
Propagation for Approximate Inference" (UAI 1999) for the approximation; Jeffrey, "The Logic of Decision" (1965) for
``seen_min``.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Cause = TypeVar("Cause", bound=Hashable)

EXACT_MAX = 14
"""So many causes that several outcomes share are enumerated, whatever else there is; beyond, beliefs are propagated."""
SWEEPS = 400
"""Rounds of messages at most."""
DAMPING = 0.5
"""Of a message's log odds so much is kept from the round before, so that loops do not swing."""
SETTLED = 1e-9
_SEEN_SWEEPS = 60
_SEEN_CLOSE = 1e-7
_PROBABLE_MIN = 1e-12


@dataclass(frozen=True)
class Broke(Generic[Cause]):
    """Something that broke, and what could have made it."""

    shows: Mapping[Cause, float]
    """Cause → P(it shows itself here | it is there), 0–1."""
    leak: float
    """P(breaks | none of them is there), above 0 and below 1."""
    seen_min: float = 0.0
    """That at least one of them is there is believed so much at least, whatever else is known."""


def posterior(priors: Mapping[Cause, float], outcomes: Sequence[Broke[Cause]]) -> dict[Cause, float]:
    """P(present | all outcomes) for each cause of ``priors``, each above 0 and below 1.

    A cause that is in no prior is left out of its outcomes. Equal input gives equal output, in whatever order the
    outcomes come.
    """
    found = dict(priors)
    for causes, group in components(priors, outcomes):
        found.update(_Component({cause: priors[cause] for cause in causes}, group).marginals())
    return found


def components(
    priors: Mapping[Cause, float], outcomes: Sequence[Broke[Cause]]
) -> Iterator[tuple[tuple[Cause, ...], tuple[Broke[Cause], ...]]]:
    """Causes that outcomes link with each other, and these outcomes; each reckoned for itself."""
    groups: list[tuple[set[Cause], list[int]]] = []
    for number, outcome in enumerate(outcomes):
        causes = {cause for cause, shows in outcome.shows.items() if cause in priors and shows > 0}
        if not causes:
            continue
        joined = [group for group in groups if group[0] & causes]
        groups = [group for group in groups if not group[0] & causes]
        groups.append((causes.union(*(g[0] for g in joined)), sorted([number, *(n for g in joined for n in g[1])])))
    order = {cause: number for number, cause in enumerate(priors)}
    for causes, numbers in groups:
        yield tuple(sorted(causes, key=order.__getitem__)), tuple(outcomes[number] for number in numbers)


class _Component(Generic[Cause]):
    """Causes and the outcomes that link them. Of each outcome, ``weight`` scales P(breaks | none is there)."""

    def __init__(self, priors: Mapping[Cause, float], outcomes: Sequence[Broke[Cause]]) -> None:
        self.priors = priors
        shows = [{c: s for c, s in outcome.shows.items() if c in priors and s > 0} for outcome in outcomes]
        ranked = sorted(
            zip(shows, outcomes, strict=True), key=lambda one: (sorted(map(repr, one[0].items())), one[1].leak)
        )
        self.shows = [one[0] for one in ranked]
        self.leaks = [one[1].leak for one in ranked]
        self.seen_min = [one[1].seen_min for one in ranked]
        self.weights = [1.0] * len(ranked)
        count = {cause: sum(cause in one for one in self.shows) for cause in priors}
        self.shared = [cause for cause in priors if count[cause] > 1]

    def marginals(self) -> dict[Cause, float]:
        solve = self._enumerated if len(self.shared) <= EXACT_MAX else self._propagated
        present, none = solve()
        for _ in range(_SEEN_SWEEPS):
            settled = True
            for number in range(len(self.weights)):  # one at a time: what one has raised, the next need not raise again
                weight = self._weight(number, none[number])
                if abs(weight - self.weights[number]) > _SEEN_CLOSE * max(weight, self.weights[number]):
                    self.weights[number], settled = weight, False
                    present, none = solve()
            if settled:
                break
        return present

    def _weight(self, number: int, none: float) -> float:
        """What P(breaks | none is there) must be scaled by, so that none is there with 1 − ``seen_min`` at most."""
        wanted = self.seen_min[number]
        if not 0 < wanted < 1 or none <= 0:
            return self.weights[number]
        odds = none / max(1 - none, _PROBABLE_MIN)
        return min(1.0, self.weights[number] * (1 - wanted) / wanted / odds)

    def _enumerated(self) -> tuple[dict[Cause, float], list[float]]:
        """Exact. Causes of one outcome alone are summed out in closed form; the shared ones are enumerated."""
        import numpy as np

        size = len(self.shared)
        states = np.arange(2**size)
        on = {cause: (states >> bit & 1).astype(bool) for bit, cause in enumerate(self.shared)}
        weight = np.ones(2**size)
        for cause, there in on.items():
            weight = weight * np.where(there, self.priors[cause], 1 - self.priors[cause])
        terms = [self._term(number, on) for number in range(len(self.shows))]
        for term in terms:
            weight = weight * term.likelihood
        total = float(weight.sum())
        present = {cause: float(weight[there].sum()) / total for cause, there in on.items()}
        none = []
        for term in terms:
            rest = weight / term.likelihood
            for cause, shows, prior in term.private:
                missed = 1 - term.passes * term.hidden * (1 - shows) / (1 - prior * shows)
                present[cause] = prior * float((rest * missed).sum()) / total
            none.append(float((rest * term.none).sum()) / total)
        return present, none

    def _term(self, number: int, on: Mapping[Cause, NDArray[np.bool_]]) -> _Term[Cause]:
        import numpy as np

        shows, leak = self.shows[number], self.leaks[number]
        hidden = np.ones(len(next(iter(on.values()))) if on else 1)
        absent = np.ones_like(hidden)
        for cause, there in on.items():
            if cause in shows:
                hidden = hidden * np.where(there, 1 - shows[cause], 1.0)
                absent = absent * ~there
        private = [(cause, shown, self.priors[cause]) for cause, shown in shows.items() if cause not in on]
        passes = (1 - leak) * math.prod(1 - prior * shown for _, shown, prior in private)
        empty = leak * math.prod(1 - prior for _, _, prior in private) * absent
        none = self.weights[number] * empty
        return _Term(private, passes, hidden, np.maximum(1 - passes * hidden - empty + none, _PROBABLE_MIN), none)

    def _propagated(self) -> tuple[dict[Cause, float], list[float]]:
        """Loopy belief propagation: damped messages in a fixed order, until they settle."""
        told = [dict.fromkeys(shows, 0.0) for shows in self.shows]
        for _ in range(SWEEPS):
            largest = 0.0
            odds = self._odds(told)
            for number, shows in enumerate(self.shows):
                heard = {cause: _probability(odds[cause] - told[number][cause]) for cause in shows}
                for cause, message in self._messages(number, heard):
                    fresh = DAMPING * told[number][cause] + (1 - DAMPING) * message
                    largest = max(largest, abs(fresh - told[number][cause]))
                    told[number][cause] = fresh
            if largest < SETTLED:
                break
        odds = self._odds(told)
        none = []
        for number, shows in enumerate(self.shows):
            heard = {cause: _probability(odds[cause] - told[number][cause]) for cause in shows}
            hidden = math.prod(1 - heard[cause] * shown for cause, shown in shows.items())
            empty = self.leaks[number] * math.prod(1 - believed for believed in heard.values())
            whole = 1 - (1 - self.leaks[number]) * hidden - (1 - self.weights[number]) * empty
            none.append(self.weights[number] * empty / max(whole, _PROBABLE_MIN))
        return {cause: _probability(odds[cause]) for cause in self.priors}, none

    def _odds(self, told: Iterable[Mapping[Cause, float]]) -> dict[Cause, float]:
        odds = {cause: math.log(prior / (1 - prior)) for cause, prior in self.priors.items()}
        for messages in told:
            for cause, message in messages.items():
                odds[cause] += message
        return odds

    def _messages(self, number: int, heard: Mapping[Cause, float]) -> Iterator[tuple[Cause, float]]:
        """Log odds that an outcome adds to each of its causes, by what is believed of the others."""
        shows, leak, weight = self.shows[number], self.leaks[number], self.weights[number]
        for cause, shown in shows.items():
            others = math.prod(1 - heard[each] * other for each, other in shows.items() if each != cause)
            alone = math.prod(1 - heard[each] for each in shows if each != cause)
            there = 1 - (1 - leak) * (1 - shown) * others
            not_there = 1 - (1 - leak) * others - (1 - weight) * leak * alone
            yield cause, math.log(max(there, _PROBABLE_MIN) / max(not_there, _PROBABLE_MIN))


@dataclass(frozen=True)
class _Term(Generic[Cause]):
    """One outcome over all states of the shared causes, its own causes summed out."""

    private: list[tuple[Cause, float, float]]
    """(cause, P(it shows itself), P(present) before)."""
    passes: float
    """P(nothing shows) by its own causes and the leak."""
    hidden: NDArray[np.float64]
    """P(nothing shows) by the shared causes, for each state."""
    likelihood: NDArray[np.float64]
    none: NDArray[np.float64]
    """P(breaks and none of its own causes is there), where no shared one is either."""


def _probability(odds: float) -> float:
    return 1 / (1 + math.exp(-max(-700.0, min(700.0, odds))))
