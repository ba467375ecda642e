"""Past results whose relevance is known by construction: what decides a weakness is known here, and hidden from Murphy.

Each weakness depends on one or two properties of its place (a client library without a default time-out, a driver that
does not reconnect). A past result answers a hypothesis (grade 2) if it tried the same weakness where these properties
are the same, and helps (grade 1) if it tried the same weakness elsewhere. Each property is unknown in three of ten
places, as after discovery; then only the words of the result may tell.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from executor.model.vocabulary import Verdict, Weakness
from knowledge.features import Features
from knowledge.rows import PastRow

UNKNOWN = 0.3
SYSTEMS = 24
QUERIES = 120
_DECIDES: dict[Weakness, tuple[str, ...]] = {
    Weakness.MISSING_TIMEOUT: ("caller_technology",),
    Weakness.MISSING_RETRY: ("caller_technology", "protocol"),
    Weakness.RETRY_STORM: ("caller_technology", "protocol"),
    Weakness.POOL_EXHAUSTION: ("caller_technology", "technology"),
    Weakness.DOES_NOT_RECONNECT: ("caller_technology", "technology"),
    Weakness.HARD_DEPENDENCY: ("role", "kind"),
    Weakness.COLD_CACHE_OVERLOAD: ("technology",),
    Weakness.STALE_NAME_RESOLUTION: ("caller_technology",),
    Weakness.STALE_CREDENTIALS: ("technology",),
    Weakness.SLOW_OR_MISSING_RECOVERY: ("technology", "role"),
}
_CALLERS = {
    "flask": ("requests", "gunicorn", "a Flask view"),
    "fastapi": ("httpx", "uvicorn", "an async handler"),
    "node": ("axios", "the express app", "undici"),
    "go": ("the Go client", "net/http", "a goroutine"),
    "java": ("the JVM", "OkHttp", "Spring"),
}
_CALLEES = {
    "postgresql": ("database", "postgresql", ("psycopg", "the primary", "SQL")),
    "redis": ("cache", "redis", ("the cache", "redis-py", "cached keys")),
    "rabbitmq": ("queue", "amqp", ("the broker", "a consumer", "the exchange")),
    "flask": ("http", "http", ("the REST endpoint", "the JSON service", "its view")),
    "grpcio": ("grpc", "grpc", ("the stub", "the protobuf service", "the channel")),
}
_SAID = {
    Weakness.MISSING_TIMEOUT: ("waited without end", "hung until the fault went", "no answer for 30 s"),
    Weakness.MISSING_RETRY: ("gave up at the first error", "did not try again", "one reset was one failure"),
    Weakness.RETRY_STORM: ("sent seven times the calls", "multiplied the load", "tried again at once, and again"),
    Weakness.POOL_EXHAUSTION: ("had no connection left", "queued for a session", "ran out of slots"),
    Weakness.DOES_NOT_RECONNECT: ("kept the broken socket", "needed a restart", "went on with a dead session"),
    Weakness.HARD_DEPENDENCY: ("failed with it", "served nothing meanwhile", "went down together"),
    Weakness.COLD_CACHE_OVERLOAD: ("asked the store for everything", "was flooded by misses", "computed it all anew"),
    Weakness.STALE_NAME_RESOLUTION: ("went on to the old address", "kept the first lookup", "ignored the new record"),
    Weakness.STALE_CREDENTIALS: ("used the old password", "was denied after the rotation", "read the secret once"),
    Weakness.SLOW_OR_MISSING_RECOVERY: ("was back after a minute only", "stayed down", "took long to be well"),
}
_FILLER = (
    "home: {} of 40 good",
    "list: {} of 60 good, p95 2.1 s",
    "pay: {} of 25 good",
    "seen in the second trial, {} bad",
)


@dataclass(frozen=True)
class Asked:
    """A hypothesis at a place never tried, and the grades of past results, by key."""

    features: Features
    grades: dict[str, int]


def made(seed: int = 0) -> tuple[list[PastRow], list[Asked]]:
    """Past results of ``SYSTEMS`` systems, and hypotheses for another one."""
    draw = random.Random(seed)
    truths = [(_place(draw, f"system-{n}", k), draw.choice(list(_DECIDES))) for n in range(SYSTEMS) for k in range(12)]
    rows = [_row(draw, number, features, weakness) for number, (features, weakness) in enumerate(truths)]
    asked: list[Asked] = []
    while len(asked) < QUERIES:
        truth, weakness = _place(draw, "new", len(asked)), draw.choice(list(_DECIDES))
        grades = {row.key: _grade(truth, weakness, *there) for row, there in zip(rows, truths, strict=True)}
        if 2 in grades.values():
            seen = replace(_hidden(draw, truth), weakness=weakness, text=_words(draw, truth, weakness, fault=False))
            asked.append(Asked(seen, {key: grade for key, grade in grades.items() if grade}))
    return rows, asked


def _grade(truth: Features, weakness: Weakness, other: Features, tried: Weakness) -> int:
    if weakness is not tried:
        return 0
    return 2 if all(getattr(truth, name) == getattr(other, name) for name in _DECIDES[weakness]) else 1


def _place(draw: random.Random, system: str, number: int) -> Features:
    caller, callee = draw.choice(list(_CALLERS)), draw.choice(list(_CALLEES))
    kind, protocol, _ = _CALLEES[callee]
    return Features(
        weakness=Weakness.HARD_DEPENDENCY,
        system=system,
        place=f"a{number}->b{number}",
        shape="edge",
        kind=kind,
        technology=callee,
        caller_kind="http",
        caller_technology=caller,
        protocol=protocol,
        role=draw.choice(("leaf", "middle", "hub")),
        criticality=draw.randint(0, 3),
        instances=draw.randint(1, 3),
    )


def _hidden(draw: random.Random, truth: Features) -> Features:
    unknown = {name: "" for name in ("technology", "caller_technology", "protocol", "role") if draw.random() < UNKNOWN}
    return replace(truth, **unknown)


def _words(draw: random.Random, truth: Features, weakness: Weakness, *, fault: bool) -> str:
    caller, callee = draw.choice(_CALLERS[truth.caller_technology]), draw.choice(_CALLEES[truth.technology][2])
    if not fault:
        return f"{caller} keeps serving while {callee} is at fault"
    seen = draw.choice(_FILLER).format(draw.randint(0, 20))
    return f"{caller} {draw.choice(_SAID[weakness])} as {callee} was struck\n{seen}"


def _row(draw: random.Random, number: int, truth: Features, weakness: Weakness) -> PastRow:
    text = _words(draw, truth, weakness, fault=True)
    features = replace(_hidden(draw, truth), weakness=weakness, text=text)
    return PastRow(
        run=f"run-{number // 12}",
        system=truth.system,
        experiment=f"e{number}",
        hypothesis=f"h{number}",
        weakness=weakness,
        place=truth.place,
        statement=text,
        fault="service.error",
        verdict=Verdict.BREAKS,
        reason=text,
        predicted=0.5,
        at=datetime(2026, 11, 1, tzinfo=UTC),
        features=features,
    )
