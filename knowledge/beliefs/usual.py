"""How long callers usually wait and how many they usually let wait: what is assumed where the system does not say.

Both are spread over what widely used libraries and servers do when nobody sets anything (their manuals, 2026). A limit
that somebody has set is rather shorter, so the shares lean to the short side; they are judgements, not a survey.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

TIMEOUTS_MS: tuple[tuple[float, float], ...] = (
    (50, 0.0), (100, 0.03), (300, 0.1), (1_000, 0.32), (2_000, 0.42), (3_000, 0.5), (5_000, 0.65), (10_000, 0.78),
    (15_000, 0.83), (30_000, 0.9), (60_000, 0.95), (100_000, 0.97), (300_000, 1.0),
)  # fmt: skip
"""(milliseconds, share of all time-outs that are at most so long).

Source: defaults of resilience4j's TimeLimiter and of Hystrix (1 s), httpx (5 s), OkHttp (10 s), Envoy's route (15 s),
gunicorn's worker (30 s), nginx's proxy_read_timeout (60 s), .NET's HttpClient (100 s), aiohttp and undici (300 s).
Those that have none (requests, Go's http.Client, axios) are what a missing time-out is, and not counted here.
"""

POOLS: tuple[tuple[float, float], ...] = (
    (1, 0.0), (2, 0.08), (5, 0.25), (10, 0.4), (16, 0.55), (41, 0.75), (101, 0.87), (201, 0.95), (1_000, 1.0),
)  # fmt: skip
"""(requests that wait at one time, share of all pools of workers or connections that so many use up).

One request at a time uses up none of which others would notice. Source: defaults of gunicorn's sync worker (1, mostly
two to four of them), waitress (4 threads), Puma (5), HikariCP and node-postgres (10), SQLAlchemy (5 and 10 more),
AnyIO's threads under Starlette and FastAPI (40), PostgreSQL's max_connections (100), Tomcat (200).
"""


def outlasts_usual(delay_ms: float) -> float:
    """Share of usual time-outs that strike before an answer so late, milliseconds, is there; 0–1."""
    return _share(TIMEOUTS_MS, delay_ms)


def fills_usual(waiting: float) -> float:
    """Share of usual pools that so many waiting at one time use up; 0–1, and 0 up to one."""
    return _share(POOLS, waiting)


def _share(spread: Sequence[tuple[float, float]], value: float) -> float:
    """Between two points along the logarithm of the value."""
    if value <= spread[0][0]:
        return spread[0][1]
    for (low, before), (high, after) in pairwise(spread):
        if value <= high:
            return before + (after - before) * math.log(value / low) / math.log(high / low)
    return spread[-1][1]
