"""Whether a service carries one rate: a test that ends as soon as it is sure."""

from __future__ import annotations

import math
import statistics
from itertools import pairwise
from typing import Literal

from executor.load.window import Window

Decision = Literal["stable", "violated", "undecided"]
_ZONE = 1.5
"""A share of bad requests between the budget ÷ this and the budget × this is too near to it to be told apart."""
_LEAST_VARIANCE = 0.25
"""Of the requests under way at a window's end: they are counted in whole ones."""
_CORRELATION_MAX = 0.9


class LevelTest:
    """Takes the windows of one rate, one after the other, until it is sure.

    ``stable``: the promise is kept and the queue does not grow. ``violated``: one of them is not so; ``why`` says
    which. Both tests are Wald's sequential probability ratio test; ``error`` is the chance of a wrong answer of each,
    as far as windows are independent. It wants evenly spaced requests. Where service times are at random too, a queue
    within some percent of the capacity wanders for longer than anybody watches, and wrong answers are more frequent
    than that; up to 80 % of the capacity and from 20 % beyond it they are not
    (``tests/executor/measure/capacity/test_sequential.py``).

    Source: A. Wald, "Sequential tests of statistical hypotheses", Annals of Mathematical Statistics 16 (1945).
    """

    def __init__(
        self,
        good_share: float,
        *,
        warmup_s: float,
        tolerance: float = 0.025,
        error: float = 0.005,
        windows_min: int = 8,
        windows_max: int = 60,
    ) -> None:
        """``good_share``: how many of the requests due must be good, 0–1 exclusive.

        Windows before ``warmup_s`` count for nothing: it should be twice the latency that counts as good, so that a
        level that is carried has as many under way as it will have. ``tolerance``: a queue that takes up this share of
        the arrivals is growing. Raises ``ValueError`` for another share.
        """
        if not 0 < good_share < 1:
            raise ValueError("a share of exactly 0 or 1 can be neither shown nor refuted by a sample")
        self._budget = 1 - good_share
        self._warmup_s, self._tolerance = warmup_s, tolerance
        self._sure = math.log((1 - error) / error)
        self._min, self._max = windows_min, windows_max
        self.windows: list[Window] = []
        """Those that count."""
        self.decision: Decision = "undecided"
        self.why = ""

    @property
    def over(self) -> bool:
        """Whether more windows would be of no use."""
        return self.decision != "undecided" or len(self.windows) >= self._max

    def add(self, window: Window) -> Decision:
        """Take the next window."""
        if window.at_s < self._warmup_s - 1e-9 or self.over:
            return self.decision
        self.windows.append(window)
        if len(self.windows) >= self._min and any(each.due for each in self.windows):
            promise, queue = self.promise(), self.queue()
            if promise >= self._sure or queue >= self._sure:
                self.decision = "violated"
                self.why = "the promise is not kept" if promise >= self._sure else "the queue grows"
            elif max(promise, queue) <= -self._sure:
                self.decision = "stable"
        return self.decision

    def promise(self) -> float:
        """Log likelihood ratio, natural, of a share of bad requests above the budget over one below it.

        Binomial, divided by how much more the windows differ than independent requests would: a hiccup strikes many
        requests at once. Source of that: P. McCullagh and J. A. Nelder, "Generalized Linear Models" (1989), section
        4.5.
        """
        due = [window.due for window in self.windows if window.due]
        bad = [window.due - window.good for window in self.windows if window.due]
        much, little = min(0.99, self._budget * _ZONE), self._budget / _ZONE
        share = sum(bad) / sum(due)
        spread = share * (1 - share)
        differ = 1.0
        if spread and len(due) > 1:
            squares = ((b - n * share) ** 2 / (n * spread) for b, n in zip(bad, due, strict=True))
            differ = max(1.0, math.fsum(squares) / (len(due) - 1))
        per_bad, per_good = math.log(much / little), math.log((1 - much) / (1 - little))
        return (sum(bad) * per_bad + (sum(due) - sum(bad)) * per_good) / differ

    def queue(self) -> float:
        """Log likelihood ratio, natural, of a queue that grows by ``tolerance`` of the arrivals over one that does not.

        Of a straight line with normal noise of unknown variance, over the requests under way at the windows' ends:
        (n / 2) ln(S₀ / S₁), S the sum of squares about the best line that does not rise, or rises by so much or more.
        Divided by (1 + r) / (1 − r) where neighbours correlate by r. For growth, a random walk without drift must be as
        unlikely: that is what a queue near its capacity does for a while.

        Source: D. R. Cox, "Large sample sequential tests for composite hypotheses", Sankhyā A 25 (1963); for r, K.
        Bayley and J. Hammersley, "The effective number of independent observations in an autocorrelated time series",
        JRSS Supplement 8 (1946).
        """
        at = [window.end_s for window in self.windows]
        under_way = [float(window.under_way) for window in self.windows]
        middle = statistics.fmean(at)
        spread = math.fsum((t - middle) ** 2 for t in at)
        growing = self._tolerance * sum(w.due for w in self.windows) / sum(w.span_s for w in self.windows)
        line = statistics.linear_regression(at, under_way)
        rest = [n - line.intercept - line.slope * t for t, n in zip(at, under_way, strict=True)]
        squares = math.fsum(each * each for each in rest)
        near = math.fsum(a * b for a, b in pairwise(rest)) / squares if squares else 0.0
        r = min(_CORRELATION_MAX, max(0.0, near))
        noise = squares + len(at) * _LEAST_VARIANCE
        still = noise + spread * max(0.0, line.slope) ** 2
        grown = noise + spread * max(0.0, growing - line.slope) ** 2
        ratio = len(at) / 2 * math.log(still / grown) * (1 - r) / (1 + r)
        return min(ratio, self._walk(growing)) if ratio > 0 else ratio

    def _walk(self, growing: float) -> float:
        """Log likelihood ratio, natural, of a random walk that drifts as this one over one that does not."""
        steps = [float(b.under_way - a.under_way) for a, b in pairwise(self.windows)]
        drift = max(statistics.fmean(steps), growing * statistics.fmean(w.span_s for w in self.windows))
        variance = max(2 * _LEAST_VARIANCE, statistics.variance(steps))
        return drift * (2 * math.fsum(steps) - drift * len(steps)) / (2 * variance)
