"""Sampled worlds: in each, every weakness is there or is not. Deterministic by its seed.

Presence is drawn stratified (a Latin hypercube): of W worlds, a weakness of probability p is in p × W of them, give or
take one. Weaknesses that an experiment asks about are drawn often enough for both answers to be seen, and the worlds
are weighted for that.

Source: M. D. McKay, R. J. Beckman and W. J. Conover, "A comparison of three methods for selecting values of input
variables in the analysis of output from a computer code", Technometrics 21 (1979); for the weights, A. B. Owen, "Monte
Carlo theory, methods and examples" (2013), chapter 9.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import numpy as np

from executor.model.vocabulary import Weakness
from knowledge.twin.arrays import Flags, Floats
from knowledge.twin.parameters import RATE_OTHERWISE, UNSAID_RATES

Key = tuple[Weakness, str]
"""A weakness at a place."""
OFTEN = 0.1
"""A weakness asked about is drawn in at least so many of the worlds, and left out of as many, unless it is certain."""


class Believed(Protocol):
    """What is believed of one weakness at one place: ``knowledge.beliefs.Belief``, or what a brief says of it."""

    @property
    def weakness(self) -> Weakness: ...  # noqa: D102  # described by the class that has them
    @property
    def place(self) -> str: ...  # noqa: D102
    @property
    def probability(self) -> float: ...  # noqa: D102
    @property
    def runs(self) -> int: ...  # noqa: D102


class Worlds:
    """``count`` worlds. What is drawn depends on the seed and on the order of the questions alone."""

    def __init__(
        self,
        count: int,
        seed: int,
        beliefs: Mapping[Key, Believed],
        asked: Iterable[Key] = (),
        known: Mapping[Key, float] | None = None,
    ) -> None:
        """``known`` holds P(present) where more is known than what is believed; ``asked`` what the experiment asks."""
        self.count = count
        self._known = known or {}
        self.random = np.random.default_rng(seed)
        self.weights: Floats = np.full(count, 1.0 / count)
        """How much each world counts; they add up to 1."""
        self._beliefs = beliefs
        self._drawn: dict[Key, Flags] = {}
        logs = np.zeros(count)
        for key in dict.fromkeys(asked):
            logs += self._ask(key)
        weights = np.exp(logs - logs.max())
        self.weights = weights / weights.sum()

    def believed(self, weakness: Weakness, place: str) -> Believed | None:
        """What is believed, if anything."""
        return self._beliefs.get((weakness, place))

    def probability(self, weakness: Weakness, place: str) -> float:
        """P(present), as believed or else as usual."""
        if (weakness, place) in self._known:
            return self._known[weakness, place]
        known = self._beliefs.get((weakness, place))
        return UNSAID_RATES.get(weakness, RATE_OTHERWISE) if known is None else known.probability

    def present(self, weakness: Weakness, places: Sequence[str]) -> Flags:
        """Whether the weakness is at each of the places, in each world. What was drawn for a place before stays so."""
        chance = np.array([self.probability(weakness, place) for place in places], dtype=np.float64)
        found = self.uniform(len(places)) < chance[:, None]
        for row, place in enumerate(places):
            found[row] = self._drawn.setdefault((weakness, place), found[row])
        return found

    def uniform(self, rows: int) -> Floats:
        """Numbers in [0, 1), stratified in each row: one in each of ``count`` equal parts."""
        order = np.tile(np.arange(self.count, dtype=np.float64), (rows, 1))
        self.random.permuted(order, axis=1, out=order)
        return (order + self.random.random(order.shape)) / self.count

    def share(self, flags: Floats | Flags) -> float:
        """Weighted mean over the worlds, 0–1, without what rounding adds to it."""
        return round(float(np.clip(np.asarray(flags, dtype=np.float64) @ self.weights, 0.0, 1.0)), 12)

    def _ask(self, key: Key) -> Floats:
        """Draw a weakness that is asked about; gives the logarithm of the weight that each world has for it."""
        chance = self.probability(*key)
        drawn = chance if chance in (0.0, 1.0) else min(1 - OFTEN, max(OFTEN, chance))
        flags: Flags = (self.uniform(1) < drawn)[0]
        self._drawn[key] = flags
        if drawn == chance:
            return np.zeros(self.count)
        return np.where(flags, math.log(chance / drawn), math.log((1 - chance) / (1 - drawn)))
