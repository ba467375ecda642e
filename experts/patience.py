"""How long a caller waits for an answer: said of its edge, seen in past runs, or its technology's default."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fnmatch import fnmatchcase

from executor.model.system import Dependency
from executor.model.vocabulary import Verdict, Weakness
from executor.model.wording import duration
from experts.past import latency_ms
from experts.scene import Scene

USUAL_MS = 1000.0
"""What a careful time-out between services is often set to; reckoned with where there is none, or nobody knows."""
GIVEN_UP_MS = 2000.0
"""An experiment that holds under a longer delay has shown that callers got their answers within this."""
SHARE = 0.8
"""Of the delay: the limit under which a shorter one is judged."""

_DEFAULTS: tuple[tuple[tuple[str, ...], str, float, str], ...] = (
    (("fastapi", "starlette", "uvicorn", "hypercorn"), "http", 5000, "HTTPX gives up after 5 s without a byte"),
    (("aiohttp",), "http", 300_000, "aiohttp's client gives up after 5 minutes"),
    (("flask", "django", "gunicorn", "waitress"), "http", math.inf, "Requests waits for ever unless it is told"),
    (("node*", "express", "nestjs", "fastify"), "http", 300_000, "Node's fetch waits 5 minutes for an answer's head"),
    (("go", "golang", "gin", "echo"), "http", math.inf, "Go's http.Client waits for ever unless it is told"),
    (("ruby", "rails", "sinatra", "puma"), "http", 60_000, "Ruby's Net::HTTP waits 60 s for a byte"),
    (("dotnet", "aspnet*"), "http", 100_000, ".NET's HttpClient gives up after 100 s"),
    (("nginx",), "http", 60_000, "nginx waits 60 s for a byte (proxy_read_timeout)"),
    (("envoy",), "http", 15_000, "Envoy's routes give up after 15 s"),
    (("*",), "grpc", math.inf, "gRPC sets no deadline unless it is told"),
    (("go", "golang", "gin", "echo"), "redis", 3000, "go-redis waits 3 s for a reply"),
    (("*",), "redis", math.inf, "most Redis clients wait for ever unless they are told"),
    (("*",), "postgresql", math.inf, "neither libpq nor PostgreSQL bounds a statement unless it is told"),
)
"""(Caller's technology, protocol, milliseconds, in words), the first that fits.

Source: the manuals of HTTPX ("Timeouts"), aiohttp (ClientTimeout), Requests ("Timeouts"), undici (headersTimeout), Go
(net/http, Client.Timeout), Ruby (Net::HTTP#read_timeout), .NET (HttpClient.Timeout), nginx (proxy_read_timeout), Envoy
(route timeout), gRPC ("Deadlines"), go-redis (ReadTimeout), redis-py (socket_timeout), PostgreSQL (statement_timeout).
"""


@dataclass(frozen=True)
class Patience:
    """What to reckon with."""

    ms: float
    """Milliseconds; finite."""
    why: str
    """In words, one clause: where the number comes from."""
    known: bool
    """Whether it was said or seen, and not only supposed."""


def patience(edge: Dependency, scene: Scene) -> Patience:
    """How long the edge's caller is known, or else taken, to wait for an answer."""
    if edge.timeout_ms:
        return Patience(edge.timeout_ms, f"{edge.caller} is said to wait {_for(edge.timeout_ms)}", known=True)
    return _seen(edge, scene) or _default(edge, scene)


def _seen(edge: Dependency, scene: Scene) -> Patience | None:
    """Between the longest delay that was waited out, and the shortest limit within which answers came all the same."""
    low, high, runs = 0.0, math.inf, []
    for past in scene.here(Weakness.MISSING_TIMEOUT, edge.place):
        delayed = latency_ms(past.fault)
        if not delayed or past.verdict not in (Verdict.HOLDS, Verdict.BREAKS):
            continue
        limit = min(GIVEN_UP_MS, SHARE * delayed)
        if past.verdict is Verdict.HOLDS:
            high = min(high, limit)
        else:
            low = max(low, limit)
        runs.append(past.run)
    if not runs:
        return None
    if low and low < high < math.inf:
        ms, how = math.sqrt(low * high), f"between {_for(low)} and {_for(high)}"
    elif high < math.inf:
        ms, how = high / 2, f"less than {_for(high)}"
    else:
        ms, how = 2 * low, f"more than {_for(low)}"
    return Patience(ms, f"{edge.caller} was seen to wait {how} ({', '.join(runs[-2:])})", known=True)


def _default(edge: Dependency, scene: Scene) -> Patience:
    technology = scene.view.one(edge.caller).technology or ""
    for globs, protocol, ms, words in _DEFAULTS:
        if protocol == edge.protocol and any(fnmatchcase(technology, glob) for glob in globs):
            if ms < math.inf:
                return Patience(ms, f"nobody says how long {edge.caller} waits; {words}", known=False)
            return Patience(
                USUAL_MS,
                f"nobody says how long {edge.caller} waits; {words}, so {_for(USUAL_MS)} is taken",
                known=False,
            )
    return Patience(
        USUAL_MS, f"nobody knows how long {edge.caller} waits; {_for(USUAL_MS)}, as is usual, is taken", known=False
    )


def _for(ms: float) -> str:
    return duration(ms / 1000)
