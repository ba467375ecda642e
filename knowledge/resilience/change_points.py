"""Where a series of numbers changed its level, if it did: no assumption about their distribution."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

PERMUTATIONS = 9999
ALPHA = 0.05
SHOWN_MIN = 8
"""Of fewer values no change can be significant at 5 %: four low ones before four high ones come about by chance in 2 of
70 orders."""

SPELL_MIN = 3
"""A spell of fewer values is taken for chance."""
_STEP_SHARE = 0.8
_Numbers = npt.NDArray[np.float64]
_Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ChangePoint:
    """A change of level. ``at`` is the place of the first value after it."""

    at: int
    before: float
    """Median of the values since the change before this one."""
    after: float
    """Median of the values until the next."""
    p_value: float
    """Chance of as clear a change if their order meant nothing."""


def change_points(values: Sequence[float], alpha: float = ALPHA) -> tuple[ChangePoint, ...]:
    """The changes of level, in order; in what never changed one is seen with a chance of at most ``alpha``.

    Two tests share that chance, four fifths for the first: Pettitt's, for a level that stayed, and circular binary
    segmentation on ranks, for one that came and went again. Each chance is the share of ``PERMUTATIONS`` seeded orders
    of the same values that show as clear a change, ties and all. Where one is significant the pieces are asked again,
    each at half of ``alpha``. At last each change is put where it is clearest between its neighbours, and left out
    where it is none between those.

    Source: A. N. Pettitt, "A non-parametric approach to the change-point problem", Applied Statistics 28 (1979); A. B.
    Olshen and others, "Circular binary segmentation for the analysis of array-based DNA copy number data",
    Biostatistics 5 (2004); B. Phipson and G. K. Smyth, "Permutation p-values should never be zero", SAGMB 9 (2010).
    """
    series = np.asarray(values, dtype=np.float64)
    found = _settled(series, sorted(_split(series, 0, alpha)), alpha)
    borders = [0, *(at for at, _ in found), len(values)]
    return tuple(
        ChangePoint(
            at=at,
            before=float(np.median(values[borders[n] : at])),
            after=float(np.median(values[at : borders[n + 2]])),
            p_value=p_value,
        )
        for n, (at, p_value) in enumerate(found)
    )


def _split(values: _Numbers, start: int, alpha: float) -> Iterator[tuple[int, float]]:
    if len(values) < SHOWN_MIN:
        return
    for find, share in ((_step, _STEP_SHARE), (_spell, 1 - _STEP_SHARE)):
        places, p_value = _asked(values, find)
        if p_value <= share * alpha:
            borders = sorted({0, *places, len(values)})
            yield from ((start + at, p_value) for at in borders[1:-1])
            for begin, end in pairwise(borders):
                yield from _split(values[begin:end], start + begin, alpha / 2)
            return


def _settled(values: _Numbers, found: list[tuple[int, float]], alpha: float) -> list[tuple[int, float]]:
    """The changes that are significant between their neighbours, each at its clearest place; weakest left out first."""
    while True:
        borders = [0, *(at for at, _ in found), len(values)]
        again: list[tuple[int, float]] = []
        for n, (at, p_value) in enumerate(found):
            begin, end = borders[n], borders[n + 2]
            if end - begin >= SHOWN_MIN:
                (place,), p_value = _asked(values[begin:end], _step)
                at = begin + place
            again.append((at, p_value))
        weakest = max(range(len(again)), key=lambda n: again[n][1], default=0)
        if not again or again[weakest][1] <= alpha:
            return again
        found = [change for n, change in enumerate(found) if n != weakest]


def _asked(values: _Numbers, find: Callable[[_Numbers], tuple[_Numbers, _Places]]) -> tuple[list[int], float]:
    """Where a change of some form is clearest, and the chance of one as clear in the same values in another order."""
    ranks = _ranks(values)
    orders = np.random.default_rng(0).permuted(np.tile(ranks, (PERMUTATIONS, 1)), axis=1)
    clear, places = find(ranks[None, :])
    as_clear = int((find(orders)[0] >= clear[0] - 1e-9).sum())
    return [int(at) for at in places[0]], (1 + as_clear) / (1 + PERMUTATIONS)


def _step(rows: _Numbers) -> tuple[_Numbers, _Places]:
    """Pettitt's largest |U| of each row of ranks, and the place that it stands at."""
    n = rows.shape[1]
    each = np.abs(2 * rows.cumsum(axis=1)[:, :-1] - np.arange(1, n) * (n + 1))
    return each.max(axis=1), each.argmax(axis=1)[:, None] + 1


def _spell(rows: _Numbers) -> tuple[_Numbers, _Places]:
    """Of each row the spell within it that stands apart most, in standard deviations, and where it begins and ends."""
    count, n = rows.shape
    sums = np.concatenate([np.zeros((count, 1)), (rows - (n + 1) / 2).cumsum(axis=1)], axis=1)
    clearest, places = np.full(count, -1.0), np.zeros((count, 2), dtype=np.int64)
    for length in range(SPELL_MIN, n - 1):
        each = np.abs(sums[:, 1 + length : n] - sums[:, 1 : n - length]) / np.sqrt(length * (n - length) / n)
        at, best = each.argmax(axis=1), each.max(axis=1)
        better = best > clearest
        clearest[better] = best[better]
        places[better] = np.stack([at + 1, at + 1 + length], axis=1)[better]
    return clearest, places


def _ranks(values: _Numbers) -> _Numbers:
    """Ranks from 1 on; equal values share the mean of theirs."""
    ordered = np.sort(values)
    first, last = np.searchsorted(ordered, values, "left"), np.searchsorted(ordered, values, "right")
    return np.asarray((first + last + 1) / 2, dtype=np.float64)
