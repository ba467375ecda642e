"""The Universal Scalability Law, fitted to what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from executor.measure.capacity.level import Estimate
from executor.measure.columns import Floats

RESAMPLES = 1000
POINTS_MIN = 6
SPAN_MIN = 4.0
"""The largest concurrency over the smallest, at least."""
LOSS = 0.1
"""A service that loses no more than this share of the throughput that it would have if nobody waited is linear."""
MISFIT_MAX = 0.15
"""Standard deviation of the points about the law, relative, beyond which it does not describe them."""
_KEPT: Final = ((0,), (0, 1), (0, 2), (0, 1, 2))
"""Which coefficients are not held at 0: the least squares of which none is negative are those of one of these."""


@dataclass(frozen=True)
class Scalability:
    """The law's parameters, each with its 95 % interval; ``None`` where nothing could be concluded."""

    verdict: Literal["linear", "sub-linear", "retrograde", "inconclusive"]
    why: str
    n: int
    """Points that it rests on."""
    gamma_rps: Estimate | None = None
    """Throughput of one alone, requests a second."""
    sigma: Estimate | None = None
    """Contention: the share of the work that only one can do at a time, 0–1."""
    kappa: Estimate | None = None
    """Coherency: what each pair costs each other."""
    peak_concurrency: Estimate | None = None
    """Where throughput is largest, √((1 − σ) / κ); ``inf`` if it rises for ever."""
    peak_rps: Estimate | None = None
    """Throughput there, or the limit γ / σ that it rises to."""


def fit(points: Sequence[tuple[float, float]]) -> Scalability:
    """Fit throughput X, requests a second, over concurrency N, requests under way.

    The law is

        X(N) = γ N / (1 + σ (N − 1) + κ N (N − 1)).

    In open loop N is what Little's law gives: throughput × mean latency. Least squares of N / X, which is linear in the
    parameters, weighted so that errors relative to X count alike, none of them negative. The intervals are percentiles
    of a bootstrap of the residuals with a fixed seed.

    ``retrograde``: throughput is past its peak within the points. ``linear``: at the largest N it is within ``LOSS`` of
    γ N. ``sub-linear``: it is not, and rises.

    Source: N. J. Gunther, "Guerrilla Capacity Planning" (2007), chapters 4–6; for N by Little's law B. Schwartz,
    "Practical Scalability Analysis with the Universal Scalability Law" (2015); B. Efron and R. Tibshirani, "An
    Introduction to the Bootstrap" (1993), section 9.4.
    """
    usable = [(n, x) for n, x in points if n > 0 and x > 0]
    many = len(usable)
    if len({n for n, _ in usable}) < POINTS_MIN:
        return _unclear(f"{POINTS_MIN} different concurrencies are needed, and there are fewer", many)
    n, x = (np.array(each, dtype=float) for each in zip(*usable, strict=True))
    if n.max() < SPAN_MIN * n.min():
        return _unclear(f"the largest concurrency is less than {SPAN_MIN:g} times the smallest", many)
    weights = x / n
    for _ in range(3):
        coefficients = _solve(n, (n / x)[None, :], weights)[0]
        weights = 1 / (_terms(n) @ coefficients)
    fitted = n * weights
    off = x / fitted - 1
    if float(np.sqrt(np.mean(off**2))) > MISFIT_MAX:
        return _unclear("the points do not follow the law", many)
    drawn = np.random.default_rng(0).choice(_freed(n, weights, off), size=(RESAMPLES, many))
    resampled = _solve(n, n / (fitted * np.maximum(1 + drawn, 0.01)), weights)
    return _conclude(coefficients, resampled, float(n.max()), many)


def _terms(n: Floats) -> Floats:
    """The law is N / X = a + b (N − 1) + c N (N − 1), with γ = 1 / a, σ = b / a, κ = c / a."""
    return np.column_stack([np.ones_like(n), n - 1, n * (n - 1)])


def _freed(n: Floats, weights: Floats, off: Floats) -> Floats:
    """Residuals as large as the errors are: a point that draws the curve to itself leaves too small a one.

    Divided by √(1 − leverage). Source: A. C. Davison and D. V. Hinkley, "Bootstrap Methods and their Application"
    (1997), section 6.2.2.
    """
    terms = _terms(n) * weights[:, None]
    leverage = np.einsum("ij,ji->i", terms, np.linalg.pinv(terms))
    freed = off / np.sqrt(np.maximum(1 - leverage, 0.05))
    centred: Floats = freed - freed.mean()
    return centred


def _solve(n: Floats, rows: Floats, weights: Floats) -> Floats:
    """Coefficients for each row of N / X: the best of those subsets whose own least squares have no negative one."""
    terms = _terms(n) * weights[:, None]
    wanted = rows * weights
    best = np.full(len(rows), np.inf)
    found = np.zeros((len(rows), 3))
    for kept in _KEPT:
        some = terms[:, kept]
        solved = wanted @ np.linalg.pinv(some).T
        squares = ((wanted - solved @ some.T) ** 2).sum(axis=1)
        better = (solved >= 0).all(axis=1) & (squares < best)
        best[better] = squares[better]
        found[better] = 0.0
        found[np.ix_(better, kept)] = solved[better]
    return found


def _conclude(coefficients: Floats, resampled: Floats, n_max: float, many: int) -> Scalability:
    every = np.vstack([coefficients, resampled])
    gamma, sigma, kappa = 1 / every[:, 0], every[:, 1] / every[:, 0], every[:, 2] / every[:, 0]
    with np.errstate(divide="ignore"):
        peak = np.where(kappa > 0, np.sqrt(np.maximum(1 - sigma, 0) / kappa), np.inf)
        limit = np.where(sigma > 0, gamma / sigma, np.inf)
    at = np.where(np.isfinite(peak), np.maximum(peak, 1), 1.0)
    peak_rps = np.where(np.isfinite(peak), gamma * at / (1 + sigma * (at - 1) + kappa * at * (at - 1)), limit)
    loss = 1 - 1 / (1 + sigma * (n_max - 1) + kappa * n_max * (n_max - 1))
    lost, peaks = _estimate(loss), _estimate(peak)
    verdict: Literal["linear", "sub-linear", "retrograde", "inconclusive"]
    if peaks.high < n_max:
        verdict, why = "retrograde", f"throughput falls beyond {peaks.value:.3g} under way"
    elif lost.high <= LOSS:
        verdict, why = "linear", f"at {n_max:.3g} under way {lost.value:.1%} of the throughput is lost"
    elif lost.low > LOSS:
        verdict, why = "sub-linear", f"at {n_max:.3g} under way {lost.value:.1%} of the throughput is lost"
    else:
        return _unclear(f"between {lost.low:.1%} and {lost.high:.1%} of the throughput is lost", many)
    return Scalability(
        verdict,
        why,
        many,
        gamma_rps=_estimate(gamma),
        sigma=_estimate(sigma),
        kappa=_estimate(kappa),
        peak_concurrency=peaks,
        peak_rps=_estimate(peak_rps),
    )


def _estimate(values: Floats) -> Estimate:
    """The first with percentiles of the others; by order statistics, since some may be infinite."""
    rest = np.sort(values[1:])
    low, high = rest[int(0.025 * len(rest))], rest[int(0.975 * len(rest)) - 1]
    return Estimate(float(values[0]), float(low), float(high))


def _unclear(why: str, many: int) -> Scalability:
    return Scalability("inconclusive", why, many)
