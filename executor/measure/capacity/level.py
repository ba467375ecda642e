"""One level of offered load, as its windows show it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from executor.load.window import Window, failures, latencies

_FEW = 10
"""Answers beyond a quantile without which it is not given."""


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Level:
    """A rate that was offered for a while, and what came of it.

    Source of the law: J. D. C. Little, "A proof for the queuing formula L = λW", Operations Research 9 (1961).
    """

    offered_rps: float
    """Requests due a second."""
    goodput_rps: float
    """Requests a second that were answered well and soon enough."""
    parts_rps: tuple[float, ...]
    """The goodput of each window."""
    span_s: float
    due: int
    good: int
    failed: Mapping[str, int]
    """Requests that failed meanwhile, by how."""
    concurrency: float | None
    """Requests under way that are answered, on average; ``None`` without answers.

    By Little's law, answers a second × mean latency: what is counted at the windows' ends may beat with the arrivals.
    """
    growth_rps: float
    """By how many a second those under way became more: least squares over the windows' ends."""
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    latency_p99_ms: float | None
    """From when a request was due; ``None`` where too few answers came to say."""


def level(windows: Sequence[Window], *, after_s: float = 0.0, until_s: float = math.inf) -> Level | None:
    """What windows of one rate show, from ``after_s`` on; ``None`` without three that had requests.

    ``until_s`` is when the rate ended: a window in which it did has fewer requests.

    Latencies and failures are of all these windows, those too in which nothing was due any more. Without them the
    slowest answers to an overload have not come yet, and the latencies are those of the others.
    """
    later = [window for window in windows if window.at_s >= after_s - 1e-9]
    kept = [window for window in later if window.due and window.end_s <= until_s + 1e-9]
    if len(kept) < 3:
        return None
    span_s = sum(window.span_s for window in kept)
    due, good = sum(window.due for window in kept), sum(window.good for window in kept)
    took = latencies(later)
    count = took.get_total_count()

    def quantile_ms(percent: float) -> float | None:
        enough = count * (1 - percent / 100) >= _FEW or (percent <= 50 and count >= _FEW)
        return took.get_value_at_percentile(percent) / 1000 if enough else None

    return Level(
        offered_rps=due / span_s,
        goodput_rps=good / span_s,
        parts_rps=tuple(window.good / window.span_s for window in kept),
        span_s=span_s,
        due=due,
        good=good,
        failed=dict(failures(later)),
        concurrency=count / span_s * took.get_mean_value() / 1e6 if count else None,
        growth_rps=statistics.linear_regression(
            [window.end_s for window in kept], [window.under_way for window in kept]
        ).slope,
        latency_p50_ms=quantile_ms(50),
        latency_p95_ms=quantile_ms(95),
        latency_p99_ms=quantile_ms(99),
    )


def drain_s(last: Window) -> float:
    """How long a service takes to work off what is under way at a window's end, at the pace of that window, in seconds.

    By Little's law. ``inf`` where nothing was answered.
    """
    done = last.answered + sum(last.failed.values())
    return last.under_way * last.span_s / done if done else float("inf") if last.under_way else 0.0
