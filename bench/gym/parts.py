"""What there is in a simulated system at a moment: instances of services, and what their clients know and hold."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from bench.gym.behaviour import Client, Outcome, Server, Step

Reply = Callable[[Outcome], None]


@dataclass
class Disturbance:
    """What is done to the calls of an edge."""

    outcome: Outcome | None = None
    """They end so; ``None``: they go through."""
    silent: bool = False
    """They are not answered as long as it lasts."""
    probability: float = 1.0
    delay_s: float = 0.0


@dataclass
class Instance:
    """One instance of a service."""

    server: Server
    name: str
    service: str
    busy: int = 0
    waiting: deque[tuple[tuple[Step, ...], Reply]] = field(default_factory=deque)
    under_way: dict[int, Reply] = field(default_factory=dict)
    stalled: list[Callable[[], None]] = field(default_factory=list)
    life: int = 0
    down: bool = False
    hung_since: float | None = None
    deaths: int = 0
    slow: float = 1.0
    """Its work takes so many times as long."""
    taken: int = 0
    """Workers that idle connections hold."""
    room: int | None = None
    """Requests that it can take at once, where that is cut down."""

    @property
    def workers(self) -> int:
        """How many requests it can work on at once."""
        return max(0, self.server.workers - self.taken)


@dataclass
class Edge:
    """What a client knows and holds."""

    caller: str
    callee: str
    client: Client
    calls: int = 0
    """Calls that went out so far."""
    under_way: int = 0
    failures: int = 0
    """In a row, of those that its breaker counts."""
    unanswered: int = 0
    """Calls in a row that brought no good answer, of whatever sort."""
    opened: bool = False
    open_until: float = 0.0
    probing: bool = False
    lost: bool = False
    """Its connection is dead, and it does not make another."""
    turn: int = 0
    out: dict[str, float] = field(default_factory=dict)
    """Instances that are left out, and until when."""
    held: list[Reply] = field(default_factory=list)
    disturbance: Disturbance | None = None
