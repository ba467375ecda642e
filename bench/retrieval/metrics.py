"""How good a ranking is: recall@5 and nDCG@10, with paired bootstrap intervals of their means."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

RESAMPLES = 2000


def recall_at(ranked: Sequence[str], grades: Mapping[str, int], k: int = 5) -> float:
    """Share of what answers (grade 2) that is among the first ``k``; of more than ``k``, of as many as could be."""
    wanted = {name for name, grade in grades.items() if grade > 1}
    return len(wanted & set(ranked[:k])) / min(k, len(wanted))


def ndcg_at(ranked: Sequence[str], grades: Mapping[str, int], k: int = 10) -> float:
    """Gain 2^grade − 1, discounted by log2 of the rank + 1, as a share of the best there could be.

    Source: K. Järvelin and J. Kekäläinen, "Cumulated gain-based evaluation of IR techniques", TOIS 20 (2002); the
    exponential gain is that of C. Burges and others (2005).
    """
    best = sorted(grades.values(), reverse=True)[:k]
    got = [grades.get(name, 0) for name in ranked[:k]]
    return _gain(got) / _gain(best)


def interval(values: Sequence[float]) -> tuple[float, float]:
    """95 % bootstrap interval of the mean over queries."""
    drawn = np.random.default_rng(0).integers(0, len(values), size=(RESAMPLES, len(values)))
    low, high = np.quantile(np.asarray(values)[drawn].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


def _gain(grades: Sequence[int]) -> float:
    return math.fsum((2**grade - 1) / math.log2(n + 2) for n, grade in enumerate(grades))
