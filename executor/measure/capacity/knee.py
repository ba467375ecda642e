"""Where a curve turns: by two methods, since each is blind where the other sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from executor.measure.capacity.level import Estimate
from executor.measure.columns import Floats

Shape = Literal["convex", "concave"]
POINTS_MIN = 6
RESAMPLES = 500
SURE = 0.01
"""Chance of as good a fit of two segments to a curve that is straight, at most."""
_PLACES = 200
_EVEN = 2.0
"""Steps of which the largest is at most so many times the smallest are even."""
_TURN = 2.0
"""The slope must change by this factor: a curve always fits two segments a little better than one."""


@dataclass(frozen=True)
class Knee:
    """Where the curve turns, in units of x, with its 95 % interval, and by which method."""

    verdict: Literal["found", "none", "inconclusive"]
    decided_by: Literal["both", "segments", "kneedle", "neither"]
    why: str
    at: Estimate | None = None
    kneedle: float | None = None
    """What Kneedle alone says, also where it was not believed."""


def knee(x: Sequence[float], y: Sequence[float], shape: Shape) -> Knee:
    """The knee of a rising curve: ``convex`` as latency over load is, ``concave`` as goodput over load is.

    Kneedle takes the point farthest from the line between the ends. It needs no model, and evenly spaced x: sampled at
    powers of two its unit square holds one step that is half of it, and the point before the last nearly always wins.
    So there it is told and not believed. Two segments that meet are fitted by least squares of relative errors for each
    place where they may meet; that minds no spacing, and says how sure it is: by a permutation test against one
    straight line, and by a bootstrap of the residuals for the place. Where both find one and agree, ``both`` decided;
    else the segments if they are sure; else Kneedle, on even x, if one straight line at least fits badly.

    Source: V. Satopää, J. Albrecht, D. Irwin, B. Raghavan, "Finding a 'Kneedle' in a Haystack", ICDCSW 2011; D. J.
    Hudson, "Fitting segmented curves whose join points have to be estimated", JASA 61 (1966); for the permutation of
    residuals D. Freedman and D. Lane, Journal of Business & Economic Statistics 1 (1983).
    """
    pairs = sorted(zip(x, y, strict=True))
    xs = np.array([a for a, _ in pairs], dtype=float)
    ys = np.array([b for _, b in pairs], dtype=float)
    if len(set(xs.tolist())) < POINTS_MIN:
        return Knee("inconclusive", "neither", f"{POINTS_MIN} different loads are needed, and there are fewer")
    if (ys <= 0).any() or (xs < 0).any():
        return Knee("inconclusive", "neither", "the values must be positive")
    guess = kneedle(xs, ys, shape)
    segments = _Segments(xs, ys)
    p = segments.chance()
    turned, why = segments.turns(shape)
    steps = np.diff(np.unique(xs))
    even = float(steps.max()) <= _EVEN * float(steps.min())
    if p <= SURE and turned:
        at = segments.interval()
        near = float(steps.max()) if even else 0.0
        agree = even and guess is not None and at.low - near <= guess <= at.high + near
        return Knee("found", "both" if agree else "segments", f"p = {p:.3g}; {why}", at, guess)
    if p <= 5 * SURE and turned and even and guess is not None:
        place = int(np.searchsorted(xs, guess))
        around = Estimate(guess, float(xs[max(0, place - 1)]), float(xs[min(len(xs) - 1, place + 1)]))
        return Knee("found", "kneedle", f"p = {p:.3g} for two segments, which is not enough", around, guess)
    if segments.straight():
        return Knee("none", "segments", f"one straight line fits (p = {p:.3g})", None, guess)
    return Knee("inconclusive", "neither", f"p = {p:.3g} for two segments; {why}", None, guess)


def kneedle(x: Floats, y: Floats, shape: Shape, sensitivity: float = 1.0) -> float | None:
    """The knee by Kneedle alone; ``None`` if there is none.

    Unlike the original it does not smooth: levels are few, and measured long. Of several local maxima of the difference
    curve it takes the largest that is followed by a fall below the threshold, T = D − S · mean(Δx). Source: Satopää et
    al., 2011, section III.
    """
    if x[-1] == x[0] or y.max() == y.min():
        return None
    across, up = (x - x[0]) / (x[-1] - x[0]), (y - y.min()) / (y.max() - y.min())
    apart = across - up if shape == "convex" else up - across
    inner = np.arange(1, len(x) - 1)
    tops = [k for k in inner if apart[k] >= apart[k - 1] and apart[k] >= apart[k + 1] and apart[k] > 0]
    threshold = sensitivity * float(np.diff(across).mean())
    sure = [k for k in tops if (apart[k + 1 :] < apart[k] - threshold).any()]
    return float(x[max(sure, key=lambda k: apart[k])]) if sure else None


class _Segments:
    """Two straight lines that meet, and one, by least squares of relative errors."""

    def __init__(self, x: Floats, y: Floats) -> None:
        self._x, self._y, self._weights = x, y, 1 / y
        different = np.unique(x)
        first, last = different[1], different[-2]
        even = np.linspace(first, last, _PLACES // 2)
        near_zero = np.geomspace(max(first, last * 1e-9), last, _PLACES // 2)
        self._places = np.unique(np.concatenate([different[1:-1], even, near_zero]))
        self._one = self._basis(np.column_stack([np.ones_like(x), x]))
        self._two = np.stack([self._basis(self._terms(place)) for place in self._places])
        self._wanted = y * self._weights
        self._best = int(self._squares(self._wanted[None, :], self._two).argmin())
        self.place = float(self._places[self._best])

    def _terms(self, place: float) -> Floats:
        return np.column_stack([np.ones_like(self._x), self._x, np.maximum(0, self._x - place)])

    def _basis(self, terms: Floats) -> Floats:
        """Orthonormal columns that span the weighted terms: what they fit of ``y`` is ``B Bᵀ y``."""
        weighted = terms * self._weights[:, None]
        return np.linalg.qr(weighted / np.abs(weighted).max(axis=0))[0]

    @staticmethod
    def _squares(rows: Floats, bases: Floats) -> Floats:
        """Sums of squares of each row about what each basis fits of it: bases × rows."""
        many, points, columns = bases.shape
        along = rows @ bases.transpose(1, 0, 2).reshape(points, many * columns)
        fitted = (along.reshape(len(rows), many, columns) ** 2).sum(axis=2)
        squares: Floats = np.maximum(0.0, (rows**2).sum(axis=1)[None, :] - fitted.T)
        return squares

    def _gain(self, rows: Floats) -> Floats:
        """How many times larger the sum of squares about one line is than about the best two."""
        floor = 1e-12 * (rows**2).sum(axis=1)
        two = self._squares(rows, self._two).min(axis=0)
        gain: Floats = (self._squares(rows, self._one[None])[0] + floor) / (two + floor)
        return gain

    def chance(self) -> float:
        """Of as large a gain if one straight line were all there is, by permuting the residuals about it."""
        straight = self._one @ (self._one.T @ self._wanted)
        rest = self._wanted - straight
        shuffled = np.random.default_rng(0).permuted(np.tile(rest, (RESAMPLES, 1)), axis=1)
        seen = self._gain(self._wanted[None, :])[0]
        return (1 + int((self._gain(straight + shuffled) >= seen).sum())) / (1 + RESAMPLES)

    def turns(self, shape: Shape) -> tuple[bool, str]:
        """Whether the slope changes the way the shape says, and by enough."""
        weighted = self._terms(self.place) * self._weights[:, None]
        _, before, change = np.linalg.lstsq(weighted, self._wanted, rcond=None)[0]
        after = before + change
        words = f"slope {before:.3g} before, {after:.3g} after"
        if shape == "convex":
            return bool(change > 0 and after >= _TURN * max(before, 0)), words
        return bool(change < 0 and before > 0 and after <= before / _TURN), words

    def straight(self) -> bool:
        """Whether the points lie within 5 % of one straight line."""
        off = self._wanted - self._one @ (self._one.T @ self._wanted)
        return bool(np.sqrt(np.mean(off**2)) <= 0.05)

    def interval(self) -> Estimate:
        """Where they meet, by a bootstrap of the residuals, each divided by √(1 − its leverage)."""
        basis = self._two[self._best]
        fitted, leverage = basis @ (basis.T @ self._wanted), (basis**2).sum(axis=1)
        rest = (self._wanted - fitted) / np.sqrt(np.maximum(1 - leverage, 0.05))
        drawn = np.random.default_rng(0).choice(rest - rest.mean(), size=(RESAMPLES, len(rest)))
        best = np.sort(self._squares(fitted + drawn, self._two).argmin(axis=0))
        low = min(self._best, int(best[int(0.025 * RESAMPLES)]))
        high = max(self._best, int(best[int(0.975 * RESAMPLES) - 1]))
        # Between two places that were tried the true one may lie nearer to the one that was not.
        ends = self._places[max(0, low - 1)], self._places[min(len(self._places) - 1, high + 1)]
        return Estimate(self.place, float(ends[0]), float(ends[1]))
