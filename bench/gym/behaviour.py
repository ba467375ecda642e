"""How a simulated system behaves: what its services and their clients do, well or badly. Data only.

The defaults are a system without a weakness: every call is bounded in time and number, every optional part may fail in
any way, whoever fails is left alone for a second and then tried again, and whatever users cannot do without is there
twice. A planted weakness (``plants``) changes a few of these values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

Outcome = Literal["ok", "refused", "reset", "timeout", "5xx", "4xx", "malformed", "open", "full"]
"""How a call ended, as its caller sees it; ``open``: its own breaker, ``full``: its own bound on calls under way."""

BROKEN: frozenset[Outcome] = frozenset({"refused", "reset", "timeout", "5xx", "malformed"})
"""What a breaker counts: a 4xx is an answer."""
FAST: frozenset[Outcome] = frozenset({"refused", "reset", "5xx"})
"""What is tried again: there is time left, and a second try may do better."""
ANY: frozenset[Outcome] = BROKEN | {"4xx", "open", "full"}


@dataclass(frozen=True)
class Client:
    """How one service calls another. Times in seconds."""

    timeout_s: float | None = 0.5
    """``None``: it waits for ever."""
    retries: int = 0
    retry_on: frozenset[Outcome] = FAST
    retry_within_s: float | None = 0.25
    """What failed later than this after it was sent is not tried again: no time is left; ``None``: it is all the same.
    """
    backoff_s: float = 0.02
    breaker_after: int | None = 5
    """Failures in a row after which it stops calling; ``None``: never."""
    breaker_counts: frozenset[Outcome] = BROKEN
    open_s: float = 1.0
    """How long it then stops, before a single call is let through."""
    closes: bool = True
    """Whether a call let through ever brings it back."""
    fallback: frozenset[Outcome] = ANY
    """Failures that a caller who can do without survives."""
    pool: int | None = 12
    """Calls under way at once, beyond which it fails at once; ``None``: as many as the caller has workers."""
    reconnects: bool = True
    """Whether a connection that was lost is made anew."""
    fails_over: bool = True
    """Whether another instance is tried when one refuses."""
    ejects: bool = True
    """Whether an instance that did not answer in time is left out for a while."""


@dataclass(frozen=True)
class Server:
    """How one service works on what it is asked. Times in seconds."""

    kind: Literal["http", "database", "cache"] = "http"
    technology: str = "flask"
    instances: int = 1
    service_s: float = 0.006
    """Mean of its own work for one request."""
    spread: float = 0.3
    """Standard deviation of that work's logarithm; below 0: exponentially distributed."""
    workers: int = 32
    queue: int = 200
    restart_s: float = 0.3
    """From the death of an instance until its supervisor has it back."""
    deaths: int | None = None
    """Deaths within a trial after which its supervisor gives up."""
    most: int | None = None
    """Requests under way at once beyond which it answers with errors: state that is not safe to share."""
    thrash: float = 0.0
    """Further work for a request, in units of its own, where there is less processor than it is used to: what it does
    then is to collect garbage, or to swap."""
    thread_each: bool = False
    """Whether a connection that says nothing takes a worker."""
    health: Literal["deep", "shallow"] = "deep"
    """Whether its health check looks at what it cannot do without."""
    either: tuple[str, ...] = ()
    """Two optional parts, one of which it needs: each stands in for the other."""
    warm: float = 0.95
    """Of a cache: share of look-ups that find something."""


@dataclass(frozen=True)
class Step:
    """A call that an operation makes, with what its callee then calls."""

    callee: str
    soft: bool = False
    """Whether the caller should be able to do without it."""
    then: tuple[Step, ...] = ()
    spares: Step | None = None
    """Of a cache: what has to be called where it finds nothing."""


@dataclass(frozen=True)
class Operation:
    """What users ask of a service."""

    id: str
    service: str
    steps: tuple[Step, ...]
    critical: bool = False
    rate_hz: float = 10.0


@dataclass(frozen=True)
class World:
    """A whole system as it is, which nobody but the simulation knows."""

    name: str
    servers: Mapping[str, Server]
    clients: Mapping[tuple[str, str], Client]
    """By caller and callee, those among them that no operation uses too."""
    operations: tuple[Operation, ...]

    def exercised(self) -> frozenset[tuple[str, str]]:
        """Edges that some operation uses as a rule."""
        return frozenset(edge for operation in self.operations for edge in usual(operation))


def uses(operation: Operation) -> Iterator[tuple[tuple[str, str], bool]]:
    """Each edge on the way of an operation, and whether the operation needs it: nothing on the way there is soft."""
    for edge, needed, _ in _below(operation.service, operation.steps, needed=True, spared=False):
        yield edge, needed


def usual(operation: Operation) -> tuple[tuple[str, str], ...]:
    """Edges that it uses each time, and not only when a cache finds nothing."""
    found = _below(operation.service, operation.steps, needed=True, spared=False)
    return tuple(dict.fromkeys(edge for edge, _, spared in found if not spared))


def needs(operation: Operation) -> tuple[str, ...]:
    """Services without which it cannot work."""
    return tuple(dict.fromkeys((operation.service, *(edge[1] for edge, needed in uses(operation) if needed))))


def hard(world: World) -> tuple[tuple[str, str], ...]:
    """Calls without which their caller cannot answer some request."""
    found: dict[tuple[str, str], None] = {}
    for operation in world.operations:
        ahead = [(operation.service, step) for step in operation.steps]
        while ahead:
            caller, step = ahead.pop()
            if not step.soft:
                found[caller, step.callee] = None
            ahead += [(step.callee, each) for each in step.then]
            ahead += [(caller, step.spares)] if step.spares else []
    return tuple(found)


def _below(
    caller: str, steps: tuple[Step, ...], *, needed: bool, spared: bool
) -> Iterator[tuple[tuple[str, str], bool, bool]]:
    for step in steps:
        hard = needed and not step.soft
        yield (caller, step.callee), hard, spared
        yield from _below(step.callee, step.then, needed=hard, spared=spared)
        if step.spares is not None:
            yield from _below(caller, (step.spares,), needed=needed, spared=True)
