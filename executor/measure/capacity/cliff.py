"""The performance cliff: where a little more load gives much less than before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from executor.measure.capacity.level import Estimate, Level
from executor.measure.columns import Floats

LEVELS_MIN = 4
PARTS_MIN = 4
RESAMPLES = 1000
SURE = 0.05
DROP_MIN = 0.25
"""Of the marginal goodput: less is no cliff."""


@dataclass(frozen=True)
class Cliff:
    """Where the marginal goodput drops most; ``None`` where nothing could be concluded.

    ``collapse``: beyond it more load gives *less* goodput. ``saturation``: it gives no more than a little.
    """

    verdict: Literal["collapse", "saturation", "none", "inconclusive"]
    why: str
    at_rps: float | None = None
    """The last rate before the drop."""
    next_rps: float | None = None
    """The first rate after it."""
    before: Estimate | None = None
    """Further good answers for each further request, up to ``at_rps``: 1 where all are served."""
    after: Estimate | None = None
    """The same from ``at_rps`` to ``next_rps``; below 0 where goodput falls."""
    p: float | None = None
    """Chance of as large a drop if the same share were served at every rate."""


def cliff(levels: Sequence[Level]) -> Cliff:
    """The largest drop of marginal goodput, Δ goodput / Δ offered, between neighbouring rates.

    Significance by permutation: if one share is served at all rates, what is left of the windows' shares when each
    rate's own mean is taken away may be exchanged between rates. The intervals, and whether it is this place at all,
    are of a bootstrap of the windows of each rate. Both with a fixed seed.

    Source: the change of slope as in R. Jain, "The Art of Computer Systems Performance Analysis" (1991), section 3.3
    (knee and usable capacity); permutation of residuals of the full model as in C. ter Braak, "Permutation versus
    bootstrap significance tests in multiple regression and ANOVA" (1992); bootstrap as in B. Efron and R. Tibshirani,
    "An Introduction to the Bootstrap" (1993), chapter 13. That windows may be exchanged takes them for independent.
    """
    rising = sorted(levels, key=lambda level: level.offered_rps)
    if len(rising) < LEVELS_MIN or any(len(level.parts_rps) < PARTS_MIN for level in rising):
        return Cliff("inconclusive", f"{LEVELS_MIN} rates with {PARTS_MIN} windows each are needed")
    offered = np.array([level.offered_rps for level in rising])
    if (np.diff(offered) < 0.01 * offered[1:]).any():
        return Cliff("inconclusive", "two rates are the same")
    parts = [np.array(level.parts_rps) for level in rising]
    marginal = _marginal(offered, np.array([[part.mean() for part in parts]]))
    drops = marginal[0, :-1] - marginal[0, 1:]
    place, drop = int(drops.argmax()), float(drops.max())
    chance = np.random.default_rng(0)
    p = _p(offered, parts, drop, chance)
    drawn = np.column_stack([chance.choice(part, size=(RESAMPLES, len(part))).mean(axis=1) for part in parts])
    resampled = _marginal(offered, drawn)
    dropped = resampled[:, :-1] - resampled[:, 1:]
    if float(np.quantile(dropped.max(axis=1), 0.975)) < DROP_MIN:
        return Cliff("none", f"the largest drop of the marginal goodput is {drop:.2f}", p=p)
    if p > SURE:
        return Cliff("inconclusive", f"a drop of {drop:.2f} may be chance (p = {p:.2g})", p=p)
    if float((dropped.argmax(axis=1) == place).mean()) < 1 - SURE:
        return Cliff("inconclusive", "it cannot be told between which rates it is", p=p)
    low, high = np.quantile(dropped[:, place], (0.025, 0.975))
    if low < DROP_MIN:
        return Cliff("inconclusive", f"the drop is between {low:.2f} and {high:.2f}", p=p)
    before, after = (_estimate(marginal[0, k], resampled[:, k]) for k in (place, place + 1))
    verdict: Literal["collapse", "saturation"] = "collapse" if after.high < 0 else "saturation"
    why = f"{before.value:.2f} of each further request before, {after.value:.2f} after"
    return Cliff(verdict, why, float(offered[place]), float(offered[place + 1]), before, after, p)


def _marginal(offered: Floats, goodput: Floats) -> Floats:
    """Of each row, from no load on."""
    steps = np.diff(np.concatenate([[0.0], offered]))
    marginal: Floats = np.diff(np.column_stack([np.zeros(len(goodput)), goodput]), axis=1) / steps
    return marginal


def _p(offered: Floats, parts: Sequence[Floats], drop: float, chance: np.random.Generator) -> float:
    shares = [part / rate for part, rate in zip(parts, offered, strict=True)]
    rest = [(each - each.mean()) * np.sqrt(len(each) / (len(each) - 1)) for each in shares]
    same = float(np.concatenate(shares).mean())
    ends = np.cumsum([len(part) for part in parts])[:-1]
    mixed = same + chance.permuted(np.tile(np.concatenate(rest), (RESAMPLES, 1)), axis=1)
    means = np.column_stack([group.mean(axis=1) for group in np.split(mixed, ends, axis=1)])
    marginal = _marginal(offered, means * offered)
    largest = (marginal[:, :-1] - marginal[:, 1:]).max(axis=1)
    return (1 + int((largest >= drop - 1e-12).sum())) / (1 + RESAMPLES)


def _estimate(value: float, resampled: Floats) -> Estimate:
    low, high = np.quantile(resampled, (0.025, 0.975))
    return Estimate(float(value), float(min(low, value)), float(max(high, value)))
