"""What an experiment is expected to tell, in bits, from weighted worlds and P(breaks) in each.

Source: T. M. Cover and J. A. Thomas, "Elements of Information Theory", 2nd edition (2006), chapter 2.
"""

from __future__ import annotations

import numpy as np

from knowledge.twin.arrays import Flags, Floats

EXACT_MAX = 10
"""Up to so many hypotheses every combination of their verdicts is counted; of more only the likeliest ones are."""


def gain(present: Flags, breaks: Floats, weights: Floats) -> float:
    """Mutual information of whether a weakness is there and the verdict on its hypothesis, 0 to 1 bit.

    All arrays are (worlds,); ``weights`` add up to 1.
    """
    there = float(weights @ present)
    whole = _entropy(float(weights @ breaks))
    for share, which in ((there, present), (1 - there, ~present)):
        if share > 0:
            whole -= share * _entropy(float((weights * which) @ breaks) / share)
    return max(0.0, whole)


def joint_gain(breaks: Floats, weights: Floats) -> float:
    """Mutual information of which world it is and all verdicts together, at least 0 bits; (hypotheses, worlds).

    What one verdict explains the others do not tell again. Of more than ``EXACT_MAX`` hypotheses the most uncertain
    count. As the worlds are a sample, it is never more than log2 of how many there are.
    """
    if not len(breaks):
        return 0.0
    means = breaks @ weights
    kept = np.argsort(-np.minimum(means, 1 - means), kind="stable")[:EXACT_MAX]
    chances = np.ones((1, breaks.shape[1]))
    for row in breaks[kept]:
        chances = np.concatenate([chances * row, chances * (1 - row)])
    verdicts = _entropies(chances @ weights)
    noise = float((_binary(breaks[kept]) @ weights).sum())
    return max(0.0, verdicts - noise)


def _entropy(probability: float) -> float:
    return float(_binary(np.array([probability]))[0])


def _binary(probabilities: Floats) -> Floats:
    inside = np.clip(probabilities, 1e-12, 1 - 1e-12)
    return -(inside * np.log2(inside) + (1 - inside) * np.log2(1 - inside))


def _entropies(probabilities: Floats) -> float:
    some = probabilities[probabilities > 0]
    return float(-(some * np.log2(some)).sum())
