"""Windows of services that do not exist, whose every parameter is known."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterator, Sequence

from executor.load.profile import Segment, arrivals
from executor.load.window import Window


def window(at_s: float, due: int, good: int, *, under_way: int = 5, span_s: float = 0.2, **failed: int) -> Window:
    """One with these numbers, and nothing late."""
    return Window(
        at_s=at_s,
        span_s=span_s,
        due=due,
        late=0,
        dropped=0,
        skipped=0,
        good=good,
        answered=good,
        failed={kind.replace("_", " "): n for kind, n in failed.items()},
        under_way=under_way,
        lag_ms=0.0,
        busy=0.1,
    )


def served(shares: Sequence[float], *, due: int = 40, span_s: float = 0.2, begin_s: float = 0.0) -> list[Window]:
    """Windows in which these shares of the requests were good."""
    return [window(begin_s + k * span_s, due, round(due * s), span_s=span_s) for k, s in enumerate(shares)]


def queueing(
    profile: Sequence[Segment],
    workers: int,
    service_s: Callable[[], float],
    *,
    good_within_s: float,
    span_s: float = 0.2,
    chance: random.Random | None = None,
) -> Iterator[Window]:
    """What a queue of so many workers, first come, first served, does with a load; at random with ``chance``."""
    free = [0.0] * workers
    came: list[float] = []
    done: list[float] = []
    for at_s in arrivals(profile, chance):
        end_s = max(at_s, free[0]) + service_s()
        heapq.heapreplace(free, end_s)
        came.append(at_s)
        done.append(end_s)
    for k in range(int(sum(segment.seconds for segment in profile) / span_s)):
        begin, end = k * span_s, (k + 1) * span_s
        due = [(a, d) for a, d in zip(came, done, strict=True) if begin <= a < end]
        good = sum(d - a <= good_within_s for a, d in due)
        under_way = sum(a < end <= d for a, d in zip(came, done, strict=True))
        yield window(begin, len(due), good, under_way=under_way, span_s=span_s)
