"""What can be done to the calls on an edge: plain parameters, seeded dice, and who is held by it."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from typing import Any, Final

from executor.proxy.grpc_answers import STATUSES

HTTP_KINDS: Final = frozenset({"error", "truncate", "bit_flip", "empty", "wrong_content_type"})
"""Kinds that need to understand HTTP, of which gRPC is one sort."""
LINE_KINDS: Final = frozenset({"corrupt", "throttle"})
"""Kinds that strike the bytes as they pass, whatever they mean."""
KINDS: Final = HTTP_KINDS | LINE_KINDS | {"delay", "delay_statement", "hang", "reset", "refuse", "blackhole"}
DAMAGE_KINDS: Final = frozenset({"truncate", "bit_flip", "empty", "wrong_content_type"})
"""Kinds that let the call through and damage its answer."""
CONNECTION_KINDS: Final = frozenset({"refuse", "blackhole"})
"""Kinds whose dice are thrown once for a connection, also where it carries many requests."""

WAYS: Final = ("both", "calls", "answers")
"""Bytes of the caller, of the callee, or of both."""

DISTRIBUTIONS: Final = ("uniform", "normal", "pareto")
_TAIL: Final = 2.0
"""Shape of the Pareto distribution: a finite mean, and a variance that grows with every sample."""

_BOUNDS: Final = {
    "probability": 1.0,
    "delay_ms": 600_000.0,
    "jitter_ms": 600_000.0,
    "status": 599,
    "after_bytes": 1e9,
    "damage": 1.0,
    "bytes_per_s": 1e12,
    "burst_bytes": 1e9,
}


_REQUESTS: Final = {"http": "requests", "grpc": "calls"}


def unit(kind: str, protocol: str) -> str:
    """For each of what the dice of a kind of fault are thrown; empty: there are none to throw."""
    if kind == "throttle":
        return ""
    if kind == "corrupt":
        return "segments"
    return "connections" if kind in CONNECTION_KINDS else _REQUESTS.get(protocol, "connections")


@dataclass(frozen=True)
class Spec:
    """Parameters of one fault, as the control socket receives them."""

    kind: str
    probability: float = 1.0
    """Chance for each request or call; on an edge that speaks neither HTTP nor gRPC, for each connection."""
    method: str = "*"
    path: str = "*"
    """Glob over the request path, without the query; of a gRPC call: ``/package.Service/Method``."""
    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    distribution: str = "uniform"
    """How delays are spread: evenly over ``delay_ms`` ± ``jitter_ms``; ``normal`` with ``jitter_ms`` as the standard
    deviation; or ``pareto``, never less than ``delay_ms`` and ``jitter_ms`` more on average, with a long tail."""
    status: int = 503
    grpc_status: str = ""
    """Name of the status that an error has on an edge that speaks gRPC; empty: it has ``status``."""
    grpc_message: str = ""
    after_bytes: int = 0
    """Bytes of the answer that pass before a reset, its head included, or, of its body alone, before a hang; of a hang
    0 means that the callee is not asked at all."""
    way: str = "both"
    """Which bytes it strikes, for the kinds that strike bytes."""
    damage: float = 0.0
    """Chance for each segment's worth of bytes to be damaged."""
    bytes_per_s: float = 0.0
    """Each way, for all connections of the edge together."""
    burst_bytes: int = 0
    """So many pass at once after a pause."""
    seed: int = 0

    @classmethod
    def parse(cls, data: Any, protocol: str) -> Spec:
        """A spec from JSON. Raises ``ValueError`` that says which field is wrong and why."""
        if not isinstance(data, dict):
            raise ValueError("fault must be a JSON object")  # noqa: TRY004 (one error type for bad input)
        known = {item.name: item for item in fields(cls)}
        if unknown := data.keys() - known.keys():
            raise ValueError(f"fault has unknown {', '.join(sorted(unknown))}")
        kind = data.get("kind")
        if not isinstance(kind, str) or kind not in KINDS:
            raise ValueError(f"fault kind must be one of {', '.join(sorted(KINDS))}, not {kind!r}")
        for name, value in data.items():
            wanted: tuple[type, ...] = {"str": (str,), "int": (int,), "float": (int, float)}[str(known[name].type)]
            if isinstance(value, bool) or not isinstance(value, wanted):
                raise ValueError(f"fault {name} must be {known[name].type}, not {value!r}")  # noqa: TRY004
            if isinstance(value, int | float) and name in _BOUNDS and not 0 <= value <= _BOUNDS[name]:
                raise ValueError(f"fault {name} must lie between 0 and {_BOUNDS[name]:g}, not {value!r}")
        spec = cls(**data)
        spec._check(protocol)
        return spec

    def _check(self, protocol: str) -> None:
        """Raises ``ValueError`` for what does not go together."""
        if self.kind == "error" and self.status < 400:
            raise ValueError(f"fault status must be 400 to 599, not {self.status}")
        if self.kind in ("delay", "delay_statement") and not self.delay_ms > 0:
            raise ValueError("fault delay_ms must be above 0 for a delay")
        if self.kind == "delay_statement" and protocol in ("http", "grpc"):
            raise ValueError(f"delay_statement needs an edge to a database, not one that speaks {protocol}")
        if self.kind == "throttle" and not self.bytes_per_s > 0:
            raise ValueError("fault bytes_per_s must be above 0 for a throttle")
        if self.distribution not in DISTRIBUTIONS:
            raise ValueError(f"fault distribution must be one of {', '.join(DISTRIBUTIONS)}, not {self.distribution!r}")
        if self.way not in WAYS:
            raise ValueError(f"fault way must be one of {', '.join(WAYS)}, not {self.way!r}")
        self._check_requests(protocol)

    def _check_requests(self, protocol: str) -> None:
        """Raises ``ValueError`` where what the edge speaks has no such requests or answers."""
        if self.grpc_status and self.grpc_status not in STATUSES:
            raise ValueError(f"fault grpc_status must be one of {', '.join(STATUSES)}, not {self.grpc_status!r}")
        if self.grpc_status and protocol != "grpc":
            raise ValueError(f"grpc_status {self.grpc_status} needs an edge that speaks grpc, not {protocol}")
        if protocol == "grpc":
            if self.kind in DAMAGE_KINDS:
                raise ValueError(f"{self.kind} needs an edge that speaks http, not grpc")
            if self.method not in ("*", "POST"):
                raise ValueError(f"every gRPC call is a POST, so method {self.method} would strike none")
        elif protocol != "http" and (self.kind in HTTP_KINDS or self.method != "*" or self.path != "*"):
            raise ValueError(
                f"{self.kind} with method {self.method} and path {self.path} needs an edge that speaks http or grpc"
            )


@dataclass
class Fault:
    """A fault in force on one edge under one mark. Compares by identity."""

    mark: str
    spec: Spec
    edge: str
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the fault goes; whom it delayed goes on then, whom it silenced is cut off."""

    __hash__ = object.__hash__

    met: int = 0
    """How often its dice were thrown: for each request, call, connection or segment that it is meant for."""
    struck: int = 0
    """How often they said yes."""
    waits: int = 0
    """How many of those have been held for as long as it wanted, and let go."""
    waited_s: float = 0.0
    """How long these were held together, as measured."""

    def __post_init__(self) -> None:
        self._dice = random.Random(f"{self.spec.seed}/{self.edge}/{self.spec.kind}")
        self._free_at: dict[str, float] = {}

    def __eq__(self, other: object) -> bool:
        return self is other

    def strikes(self) -> bool:
        """One throw of the dice."""
        return self._thrown(self.spec.probability >= 1 or self._dice.random() < self.spec.probability)

    def _thrown(self, hit: bool) -> bool:
        self.met += 1
        self.struck += hit
        return hit

    def matches(self, method: str, path: str) -> bool:
        """Whether a request is meant, dice aside."""
        return self.spec.method in ("*", method) and fnmatchcase(path.partition("?")[0], self.spec.path)

    @property
    def unconditional(self) -> bool:
        """Whether it is meant for everything, also for what cannot be read as a request."""
        return (self.spec.method, self.spec.path) == ("*", "*") and self.spec.kind not in HTTP_KINDS

    def delay_s(self) -> float:
        """How late this time, seconds."""
        if not self.spec.jitter_ms:
            return self.spec.delay_ms / 1000
        match self.spec.distribution:
            case "normal":
                spread = self._dice.gauss()
            case "pareto":
                spread = self._dice.paretovariate(_TAIL) - 1
            case _:
                spread = self._dice.uniform(-1, 1)
        return min(max(0.0, self.spec.delay_ms + spread * self.spec.jitter_ms), _BOUNDS["delay_ms"]) / 1000

    def flipped(self, data: bytes) -> bytes:
        """A segment's worth of bytes, with one bit flipped if the dice say so."""
        if not self._thrown(self._dice.random() < self.spec.damage):
            return data
        damaged = bytearray(data)
        damaged[self.choose(len(damaged))] ^= 1 << self.choose(8)
        return bytes(damaged)

    def through_s(self, way: str, size: int, now: float) -> float:
        """How long until so many more bytes are through the line, seconds; they queue behind those of before."""
        began = max(self._free_at.get(way, 0.0), now - self.spec.burst_bytes / self.spec.bytes_per_s)
        self._free_at[way] = began + size / self.spec.bytes_per_s
        return max(0.0, self._free_at[way] - now)

    def choose(self, bound: int) -> int:
        """A seeded choice from ``0 … bound - 1``."""
        return self._dice.randrange(bound)


async def delayed(faults: list[Fault], delay_s: float, *, times: int = 1) -> None:
    """Wait ``delay_s`` seconds, or until one of ``faults`` ends: what it held may then go on.

    ``times``: what so many have to wait, one after the other.
    """
    loop = asyncio.get_running_loop()
    begun = loop.time()
    await _first_end(faults, delay_s)
    if len(faults) == 1 and not faults[0].ended.is_set():  # of several it could not be told whose the wait was
        faults[0].waits += times
        faults[0].waited_s += loop.time() - begun


async def silence(faults: list[Fault]) -> None:
    """Wait until one of ``faults`` ends."""
    await _first_end(faults, None)


async def _first_end(faults: list[Fault], within_s: float | None) -> None:
    ends = [asyncio.ensure_future(fault.ended.wait()) for fault in faults]
    try:
        await asyncio.wait(ends, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for end in ends:
            end.cancel()
